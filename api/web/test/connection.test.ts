import { describe, expect, it } from "vitest";
import {
  backoffMs,
  closed,
  heard,
  lostPlace,
  opened,
  passed,
  SILENT_AFTER_MS,
  start,
} from "../src/connection";

describe("the connection", () => {
  it("is live only after a snapshot", () => {
    let c = opened(start, 0);
    c = heard(c, 1, null, false, 1).connection;
    expect(c.link).toBe("connecting");
    c = heard(c, 2, 7, true, 2).connection;
    expect(c.link).toBe("live");
    expect(c.feedSeq).toBe(7);
  });
  it("asks for a new connection when a frame is missing", () => {
    const c = heard(opened(start, 0), 1, null, false, 1).connection;
    expect(heard(c, 3, null, false, 2).gap).toBe(true);
  });
  it("is stale after silence, and says so without a message", () => {
    const c = heard(opened(start, 0), 1, null, true, 0).connection;
    expect(passed(c, SILENT_AFTER_MS).link).toBe("live");
    expect(passed(c, SILENT_AFTER_MS + 1).link).toBe("stale");
  });
  it("is lost at once when it closes, and remembers where to resume", () => {
    const c = heard(opened(start, 0), 1, 12, true, 0).connection;
    expect(closed(c)).toMatchObject({ link: "lost", feedSeq: 12, attempts: 1 });
  });
  it("forgets its place when the server says that it is gone, and is live only after the snapshot that follows", () => {
    const c = lostPlace(heard(opened(start, 0), 1, 900, true, 0).connection);
    expect(c).toMatchObject({ link: "connecting", feedSeq: null });
    const after = heard(c, 2, 4, true, 1).connection;
    expect(after).toMatchObject({ link: "live", feedSeq: 4 });
  });
  it("comes back within bounds, spread out", () => {
    expect(backoffMs(1, 0)).toBe(250);
    expect(backoffMs(20, 1)).toBeLessThanOrEqual(8_250);
  });
});
