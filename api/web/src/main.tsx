import { render } from "preact";
import { LogIn, NoPermission } from "./access/LogIn";
import { arrive, needsLogIn, refused, seesPatients } from "./access/session";
import { Inbox } from "./alarms/Inbox";
import { ApiError, getMetrics, getPolicy } from "./api";
import { followCarers } from "./carers";
import { Charge } from "./charge/Charge";
import { Help } from "./Help";
import { listen } from "./keyboard";
import { followLinks } from "./link";
import { connect, startClock } from "./live";
import { page } from "./pages";
import { followLimits } from "./patient/own";
import { PatientView } from "./patient/PatientView";
import { SystemPage } from "./SystemPage";
import { alarmList, metrics, openPatient, policy, unacknowledged } from "./store";
import { Banner, Footer, Header, trouble } from "./Trust";
import { applyTheme } from "./theme";
import { showCount } from "./title";
import { kiosk } from "./wall/view";
import { Wall } from "./wall/Wall";
import { applyLanguage, w } from "./words";
import "./style/fonts.css";
import "./style/base.css";
import "./style/wall.css";
import "./style/inbox.css";
import "./style/patient.css";
import "./style/desk.css";
import "./style/print.css";
import "./access/access.css";

function App() {
  if (needsLogIn.value) return <LogIn onEnter={start} />;
  if (refused.value !== null) return <NoPermission />;
  const sees = seesPatients.value;
  return (
    <div
      class={`app ${trouble.value === null ? "" : "untrusted"} ${kiosk.value ? "kiosk" : ""} page-${page.value}`}
      data-testid="app"
      data-patient-open={openPatient.value !== null}
    >
      <Header />
      <Banner />
      <div class="body">
        <Shown />
        {sees && !kiosk.value && page.value !== "system" && <Inbox />}
      </div>
      {sees && <PatientView />}
      <Help />
      <Footer />
      {sees && <Spoken />}
    </div>
  );
}

// For those who hear the page.
function Spoken() {
  const high = alarmList.value.find(
    (a) => a.priority === "high" && a.state === "active" && a.lane === "physiological",
  );
  return (
    <>
      <div class="visually-hidden" role="status">
        {unacknowledged.value === 0 ? w.inbox.noneWaits : w.inbox.wait({ n: unacknowledged.value })}
      </div>
      <div class="visually-hidden" aria-live="assertive">
        {high?.text ?? ""}
      </div>
    </>
  );
}

// A kiosk shows the ward and nothing else.
function Shown() {
  if (kiosk.value || page.value === "ward") return <Wall />;
  return page.value === "charge" ? <Charge /> : <SystemPage />;
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
  if (!seesPatients.peek()) return;
  followLimits();
  followCarers();
  connect();
}

const root = document.getElementById("app");
if (root !== null) {
  applyLanguage();
  applyTheme();
  render(<App />, root);
  arrive(start);
  listen();
  followLinks();
  showCount();
  startClock();
}
