// What the API sends. Times are RFC 3339 texts unless a name ends in Ms.

export type Priority = "high" | "medium" | "low";
export type Quality = "good" | "questionable" | "bad" | "not_worn";
export type AlarmState =
  | "active"
  | "acknowledged"
  | "latched"
  | "resolved"
  | "closed"
  | "inhibited"
  | "retrospective";

export interface Limits {
  low: number | null;
  high: number | null;
  critical_low: number | null;
  critical_high: number | null;
}

export interface Metric {
  name: string;
  label: string;
  loinc: string | null;
  unit: string;
  decimals: number;
  expiry_s: number;
  cadence_s: number;
  limits: Limits;
}

export interface Value {
  value: number | null;
  time: string;
  quality: Quality;
  unit: string;
  stale?: boolean;
}

export interface Risk {
  score: number | null;
  status: "ok" | "not_ready" | "insufficient" | "failed";
  model: string;
  version: string;
  time: string;
  contributions: Record<string, number>;
  deviations: Record<string, number | null>;
}

// What one model said about one window, as the store keeps it.
export interface Score {
  window_end: string;
  model: string;
  version: string;
  score: number | null;
  status: Risk["status"];
  contributions?: Record<string, number>;
  deviations?: Record<string, number>;
}

export interface Patient {
  id: string;
  name: string | null;
  bed: string | null;
  unit: string | null;
  age: number | null;
  sex: "F" | "M" | null;
  latest: Record<string, Value>;
  risk: Risk | null;
  alarms: Record<Priority, number>;
}

export interface Reason {
  kind: string;
  metric: string | null;
  value: number | null;
  limit: number | null;
  unit: string | null;
  since: string | null;
  text: string;
}

export type LabelName = "actionable" | "false_alarm" | "artefact";

export interface Alarm {
  id: string;
  patient: string;
  subject: "patient" | "group";
  device: string | null;
  condition: string;
  rule_version: number;
  lane: "physiological" | "technical";
  priority: Priority;
  metric: string | null;
  text: string;
  reasons: Reason[];
  state: AlarmState;
  version: number;
  onset: string;
  raised: string;
  cleared: string | null;
  resolved: string | null;
  acknowledged_by: string | null;
  acknowledged_at: string | null;
  assigned_to: string | null;
  acknowledged_until?: string | null;
  acknowledged_reason?: string | null;
  snoozed_until: string | null;
  snoozed_by?: string | null;
  snoozed_reason?: string | null;
  episode?: string | null; // alarms of one deterioration; absent where the server does not say
  label: LabelName | null;
  labelled_by?: string | null;
}

// How long an acknowledgement holds and a snooze may last, by priority, and for how long one may take back what one did.
export interface Policy {
  acknowledge_minutes: Record<Priority, number>;
  snooze_minutes: Record<Priority, number>;
  undo_seconds: number;
}

// One change of an alarm, as it was recorded.
export interface AlarmEvent {
  event_id: string;
  change: string;
  state: AlarmState;
  version: number;
  at: string;
  text: string;
  actor: string | null;
  note: string | null;
  until: string | null;
  to?: string | null;
}

export interface AlarmDetail extends Alarm {
  events: AlarmEvent[];
}

// Whether made-up readings come through the whole stream. null: nothing watches it.
export type Canary = "starting" | "ok" | "late" | "dead" | "unknown" | null;

interface Numbered {
  seq: number;
}
export type Frame = Numbered &
  (
    | { type: "hello"; server_time: string; demo: boolean; notice: string; heartbeat_s: number }
    | { type: "snapshot"; patients: Patient[]; alarms: Alarm[]; feed_seq: number; data_as_of: string | null }
    | { type: "vitals"; patients: { id: string; latest: Record<string, Value> }[]; data_as_of: string | null }
    | { type: "scores"; patients: { id: string; risk: Risk }[] }
    | { type: "alarm"; alarm: Alarm; change: string; feed_seq: number | null; recorded: boolean }
    | {
        type: "heartbeat";
        server_time: string;
        data_as_of: string | null;
        kafka: "ok" | "away";
        canary?: Canary;
      }
    // The place in the feed that was asked for is not there any more: the snapshot that follows is all there is.
    | { type: "resync"; asked: number; reason: string }
  );

export interface SeriesPoint {
  t: number;
  v: number | null;
  min: number | null;
  max: number | null;
  q: number; // 0 good, 1 questionable, 2 bad, 3 not worn
}
export interface Series {
  metric: string;
  unit: string;
  points: SeriesPoint[];
}

// One field of a request that is not valid, and what to do about it.
export interface FieldError {
  field: string;
  reason: string;
}

export interface ManualReading {
  metric: string;
  value: number;
  unit: string;
}
// What one person observed at one time and wrote down.
export interface NewObservation {
  taken?: string;
  readings: ManualReading[];
  note?: string;
}
export interface Observation {
  id: number;
  patient: string;
  author: string;
  taken: string;
  recorded: string;
  readings: ManualReading[];
  note: string | null;
  device: string;
}

// A limit, and the one of high priority beyond it.
export interface Bound {
  limit: number;
  critical: number | null;
}
export interface LimitRow {
  rule: string;
  metric: string;
  label: string;
  unit: string;
  decimals: number;
  direction: "low" | "high";
  priority: Priority;
  critical_priority: Priority;
  onset_s: number;
  critical_onset_s: number;
  lowest: number;
  highest: number;
  everybody: Bound;
  own: Bound | null;
}
export interface LimitsOfPatient {
  patient: string;
  version: number;
  author: string | null;
  reason: string | null;
  at: string | null;
  items: LimitRow[];
}
export interface LimitsInForce {
  version: number;
  everybody: Record<string, Limits>;
  patients: Record<string, Record<string, Limits>>;
}
export interface WouldAlarm {
  alarms: number;
  by_priority: Record<Priority, number>;
  by_rule: Record<string, number>;
}
export interface Preview {
  from: string;
  to: string;
  hours: number;
  version: number;
  in_force: WouldAlarm;
  draft: WouldAlarm;
}

export interface BurdenShare {
  key: string | null;
  alarms: number;
  alarms_per_patient_day: number | null;
  share: number;
  high: number;
  medium: number;
  low: number;
  labelled: number;
  precision: number | null;
  median_seconds_to_acknowledge: number | null;
}
export interface Burden {
  from: string;
  to: string;
  patients: number;
  patient_days: number;
  alarms: number;
  alarms_per_patient_day: number | null;
  labelled: number;
  actionable_share: number | null;
  median_seconds_to_acknowledge: number | null;
  units: BurdenShare[];
  rules: BurdenShare[];
  top_patients: { patients: string[]; alarms: number; share: number | null };
  due_for_review: { rule: string; reason: string }[];
}

// A care team of whoever is logged in, and who is in it now.
export interface CareTeam {
  name: string;
  everybody: boolean;
  units: string[];
  patients: number; // named one by one
  members: { name: string; full_name: string | null; role: string; until: string | null }[];
}

// Who looks after a patient, until when: alarms that begin before it are theirs.
export interface Carer {
  patient: string;
  person: string;
  assigned_by: string;
  since: string;
  until: string;
}

// A device of a patient, as far as anything is known of it.
export interface DeviceRow {
  patient: string;
  device: string;
  silent_since: string | null;
  last_value: string | null;
  battery: { percent: number; time: string; stale: boolean } | null;
  battery_low_since: string | null;
}

export interface SystemInfo {
  demo: boolean;
  server_time: string;
  data_as_of: string | null;
  kafka: "ok" | "away";
  canary: Canary;
  version: string;
}
// A process of this installation as it says itself; null: it does not say.
export interface ProcessRow {
  name: string;
  room: string;
  state: string | null;
  ready: boolean | null;
  answers: boolean;
  partitions: number | null;
  lag_records: number | null;
  records_per_second: number | null;
  batch_p95_ms: number | null;
  behind_seconds: number | null;
  stands_still_seconds: number | null;
  viewers: number | null; // of an API: screens and programs that follow
  stages: Record<string, number>; // of the canary: seconds by stage
}

// One message to one person about an alarm, and what became of it.
export interface Notice {
  id: string;
  person: string;
  channel: string;
  kind: string;
  created: string;
  status: string; // pending, or of the newest receipt
  receipts: { attempt: number; status: string; at: string }[];
}
export interface Notices {
  items: Notice[];
  more: boolean;
  reasons: { at: string; reason: string }[]; // why somebody, or nobody, was told
}

// A registered version of a model. `gates`: what the gates said of it last; empty where none was asked.
export interface ModelRow {
  name: string;
  version: string;
  kind: string;
  framework: string;
  stage: "candidate" | "shadow" | "champion" | "retired";
  since: string;
  by: string;
  reason: string;
  gates: string;
}
