import { effect } from "@preact/signals";
import { render } from "preact";
import { AlarmList } from "./alarms/AlarmList";
import { getMetrics } from "./api";
import { listen } from "./keyboard";
import { connect, tick } from "./live";
import { PatientPanel } from "./patient/PatientPanel";
import { alarmList, metrics, unacknowledged } from "./store";
import { Banner, Footer, Header, trouble } from "./Trust";
import { Wall } from "./wall/Wall";
import "./style.css";

function App() {
  return (
    <div class={`app ${trouble.value === null ? "" : "untrusted"}`} data-testid="app">
      <Header />
      <Banner />
      <div class="body">
        <Wall />
        <AlarmList />
      </div>
      <PatientPanel />
      <Footer />
      <div class="visually-hidden" aria-live="assertive">
        {alarmList.value.find(
          (a) => a.priority === "high" && a.state === "active" && a.lane === "physiological",
        )?.text ?? ""}
      </div>
    </div>
  );
}

function loadMetrics(): void {
  getMetrics()
    .then((items) => {
      metrics.value = new Map(items.map((m) => [m.name, m]));
    })
    .catch(() => window.setTimeout(loadMetrics, 2000));
}

effect(() => {
  document.title = unacknowledged.value > 0 ? `(${unacknowledged.value}) Vigil` : "Vigil";
});

const root = document.getElementById("app");
if (root !== null) {
  render(<App />, root);
  loadMetrics();
  connect();
  listen();
  window.setInterval(tick, 1000);
}
