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
  label: LabelName | null;
  labelled_by?: string | null;
}

// How long an acknowledgement holds and a snooze may last, by priority.
export interface Policy {
  acknowledge_minutes: Record<Priority, number>;
  snooze_minutes: Record<Priority, number>;
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
