// Canvases are drawn a few at a time, between frames: sixty tiles at once would make the page stumble.

const BUDGET_MS = 4;
const waiting = new Set<() => void>();
let asked = false;

export function paint(job: () => void): void {
  waiting.add(job);
  if (!asked) {
    asked = true;
    requestAnimationFrame(run);
  }
}

export function forget(job: () => void): void {
  waiting.delete(job);
}

function run(): void {
  asked = false;
  const end = performance.now() + BUDGET_MS;
  for (const job of waiting) {
    waiting.delete(job);
    job();
    if (performance.now() > end) break;
  }
  if (waiting.size > 0) {
    asked = true;
    requestAnimationFrame(run);
  }
}
