// Questions that nobody waits for go two at a time: what a nurse asks must not stand behind the pasts of sixty tiles.

const AT_ONCE = 2;
const waiting: (() => Promise<void>)[] = [];
let running = 0;

export function inTurn(ask: () => Promise<void>): void {
  waiting.push(ask);
  next();
}

function next(): void {
  if (running >= AT_ONCE) return;
  const ask = waiting.shift();
  if (ask === undefined) return;
  running += 1;
  ask().finally(() => {
    running -= 1;
    next();
  });
}
