import { render } from "preact";
import { LogIn, NoPermission } from "./access/LogIn";
import { arrive, needsLogIn, refused, seesPatients } from "./access/session";
import { Inbox } from "./alarms/Inbox";
import { ApiError, getMetrics, getPolicy } from "./api";
import { Help } from "./Help";
import { listen } from "./keyboard";
import { connect, tick } from "./live";
import { PatientView } from "./patient/PatientView";
import { alarmList, metrics, openPatient, policy, unacknowledged } from "./store";
import { Banner, Footer, Header, trouble } from "./Trust";
import { applyTheme } from "./theme";
import { showCount } from "./title";
import { kiosk } from "./wall/view";
import { Wall } from "./wall/Wall";
import "./style/base.css";
import "./style/wall.css";
import "./style/inbox.css";
import "./style/patient.css";
import "./style/print.css";
import "./access/access.css";

function App() {
  if (needsLogIn.value) return <LogIn onEnter={start} />;
  if (!seesPatients.value || refused.value !== null) return <NoPermission />;
  return (
    <div
      class={`app ${trouble.value === null ? "" : "untrusted"} ${kiosk.value ? "kiosk" : ""}`}
      data-testid="app"
      data-patient-open={openPatient.value !== null}
    >
      <Header />
      <Banner />
      <div class="body">
        <Wall />
        {!kiosk.value && <Inbox />}
      </div>
      <PatientView />
      <Help />
      <Footer />
      <div class="visually-hidden" role="status">
        {unacknowledged.value === 0 ? "No alarm waits." : `${unacknowledged.value} alarms wait.`}
      </div>
      <div class="visually-hidden" aria-live="assertive">
        {alarmList.value.find(
          (a) => a.priority === "high" && a.state === "active" && a.lane === "physiological",
        )?.text ?? ""}
      </div>
    </div>
  );
}

const AGAIN_MS = 2_000;

function loadMetrics(): void {
  getMetrics()
    .then((items) => {
      metrics.value = new Map(items.map((m) => [m.name, m]));
    })
    .catch(() => window.setTimeout(loadMetrics, AGAIN_MS));
}

function loadPolicy(): void {
  getPolicy()
    .then((found) => {
      policy.value = found;
    })
    .catch((error: unknown) => {
      // A server that does not know the question has no policy; one that cannot answer now is asked again.
      if (!(error instanceof ApiError) || error.status === 0 || error.status >= 500)
        window.setTimeout(loadPolicy, AGAIN_MS);
    });
}

function start(): void {
  loadMetrics();
  loadPolicy();
  if (seesPatients.peek()) connect();
}

const root = document.getElementById("app");
if (root !== null) {
  applyTheme();
  render(<App />, root);
  arrive(start);
  listen();
  showCount();
  window.setInterval(tick, 1000);
}
