// Stands where the WebSocket stands and plays a ward of 64 beds into the page, as fast as the page takes it: for measuring what
// twelve hours leave behind. `shift.seconds(n)`: the next n seconds; the page's clock is moved on by the test.
(() => {
  const METRICS = {
    heart_rate: [76, "/min"], pulse_rate: [76, "/min"], spo2: [97, "%"], respiratory_rate: [16, "/min"],
    systolic_bp: [122, "mm[Hg]"], diastolic_bp: [71, "mm[Hg]"], mean_bp: [88, "mm[Hg]"], temperature: [36.8, "Cel"],
  };
  const BEDS = 64;
  const OPEN_FOR_S = 300;
  let socket = null;
  let seq = 0;
  let second = 0;
  let feedSeq = 0;
  let startMs = 0;
  const iso = (s) => new Date(startMs + s * 1000).toISOString();
  const send = (frame) => {
    seq += 1;
    socket.onmessage?.({ data: JSON.stringify({ ...frame, seq }) });
  };
  const latest = (bed) =>
    Object.fromEntries(
      Object.entries(METRICS).map(([metric, [usual, unit]]) => [
        metric,
        {
          value: Math.round((usual + Math.sin(second / 7 + bed) * 2) * 10) / 10,
          time: iso(second),
          quality: "good",
          unit,
          stale: false,
        },
      ]),
    );
  const alarm = (number, state, version) => ({
    id: `alarm-${number}`, patient: `p-${number % BEDS}`, subject: "patient", device: `d-${number % BEDS}`,
    condition: number % 3 === 0 ? "spo2_low" : "respiratory_rate_high", rule_version: 0, lane: "physiological",
    priority: ["high", "medium", "low"][number % 3], metric: number % 3 === 0 ? "spo2" : "respiratory_rate",
    text: number % 3 === 0 ? "***SpO2 78 < 80" : "**RR 33 > 30",
    reasons: [{ kind: "limit", metric: "spo2", value: 78, limit: 80, unit: "%", since: iso(second), text: "beyond its limit" }],
    state, version, onset: iso(number * 20), condition_time: iso(number * 20), raised: iso(number * 20), cleared: null,
    resolved: state === "resolved" ? iso(second) : null, acknowledged_by: null, acknowledged_at: null, assigned_to: null,
    snoozed_until: null, label: null, feed_seq: feedSeq,
  });
  const tell = (number, state, version) => {
    feedSeq += 1;
    send({ type: "alarm", alarm: alarm(number, state, version), change: state, feed_seq: feedSeq, recorded: true });
  };
  window.shift = {
    seconds(count) {
      for (let k = 0; k < count; k += 1) {
        second += 1;
        send({
          type: "vitals",
          patients: Array.from({ length: BEDS }, (_, bed) => ({ id: `p-${bed}`, latest: latest(bed), time: iso(second) })),
          data_as_of: iso(second),
        });
        if (second % 5 === 0)
          send({ type: "heartbeat", server_time: iso(second), data_as_of: iso(second), kafka: "ok", canary: "ok" });
        if (second % 10 === 0)
          send({
            type: "scores",
            patients: Array.from({ length: BEDS }, (_, bed) => ({
              id: `p-${bed}`,
              risk: {
                score: 1 + (bed % 7), status: "ok", model: "personal_baseline", version: "1", time: iso(second),
                contributions: { heart_rate: 1 }, deviations: { heart_rate: 2 },
              },
            })),
          });
        if (second % 20 === 0) tell(second / 20, "active", 1);
        if (second > OPEN_FOR_S && (second - OPEN_FOR_S) % 20 === 0) tell((second - OPEN_FOR_S) / 20, "resolved", 2);
      }
      return second;
    },
  };
  window.WebSocket = class {
    static OPEN = 1;
    readyState = 1;
    constructor() {
      socket = this;
      seq = 0;
      Promise.resolve().then(() => this.onopen?.());
    }
    send() {
      if (startMs === 0) startMs = Date.now();
      send({ type: "hello", server_time: iso(second), demo: true, notice: "", heartbeat_s: 5 });
      send({
        type: "snapshot",
        patients: Array.from({ length: BEDS }, (_, bed) => ({
          id: `p-${bed}`, name: `Demo ${bed}`, bed: `A-${bed}`, unit: "Demo ward", age: 60, sex: "F", latest: latest(bed),
          risk: null, alarms: { high: 0, medium: 0, low: 0 },
        })),
        alarms: [],
        feed_seq: feedSeq,
        data_as_of: iso(second),
      });
    }
    close() {
      this.onclose?.({ code: 1000 });
    }
  };
})();
