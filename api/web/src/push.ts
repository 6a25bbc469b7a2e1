// Subscribes this browser to messages, and shows the subscription so that it can become somebody's address.

import { applyLanguage, w } from "./words";

const at = <T extends HTMLElement = HTMLElement>(id: string): T => document.getElementById(id) as T;
const take = at<HTMLButtonElement>("take");
const stop = at("stop");
const copy = at("copy");
const address = at<HTMLTextAreaElement>("address");

function speak(): void {
  applyLanguage();
  document.title = w.push.pageTitle;
  for (const id of ["title", "warning", "take", "copy", "stop", "ward"] as const)
    at(id).textContent = w.push[id];
  address.setAttribute("aria-label", w.push.address);
}

function show(text: string, subscription: PushSubscription | null = null): void {
  at("state").textContent = text;
  address.value = subscription === null ? "" : JSON.stringify(subscription);
  for (const element of [address, copy, stop]) element.hidden = subscription === null;
  take.hidden = subscription !== null;
}

function bytes(base64url: string): Uint8Array<ArrayBuffer> {
  const base64 = base64url.replaceAll("-", "+").replaceAll("_", "/");
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

async function publicKey(): Promise<Uint8Array<ArrayBuffer>> {
  const answer = await fetch("/api/v1/push-key");
  const said = (await answer.json()) as { public_key: string; detail?: string };
  if (!answer.ok) throw new Error(said.detail);
  return bytes(said.public_key);
}

async function subscribe(): Promise<void> {
  show(w.push.waiting);
  const key = await publicKey();
  if ((await Notification.requestPermission()) !== "granted") throw new Error(w.push.notAllowed);
  // The worker has no catalogue: it is told the words for a message that it cannot read.
  const words = new URLSearchParams(w.push.unreadable);
  await navigator.serviceWorker.register(`/push-worker.js?${words}`);
  const worker = await navigator.serviceWorker.ready;
  show(
    w.push.taken,
    await worker.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key }),
  );
}

async function unsubscribe(): Promise<void> {
  const worker = await navigator.serviceWorker.ready;
  await (await worker.pushManager.getSubscription())?.unsubscribe();
  show(w.push.none);
}

async function begin(): Promise<void> {
  if (!window.isSecureContext || !("serviceWorker" in navigator) || !("PushManager" in window)) {
    show(w.push.cannot);
    take.disabled = true;
    return;
  }
  const worker = await navigator.serviceWorker.getRegistration("/");
  const found = await worker?.pushManager.getSubscription();
  if (found) show(w.push.taken, found);
  else show(w.push.none);
}

function orSayWhy(work: () => Promise<void>): () => Promise<void> {
  return () => work().catch((error: unknown) => show(w.push.failed({ words: (error as Error).message })));
}

speak();
take.addEventListener("click", orSayWhy(subscribe));
stop.addEventListener("click", orSayWhy(unsubscribe));
copy.addEventListener(
  "click",
  orSayWhy(() => navigator.clipboard.writeText(address.value)),
);
void orSayWhy(begin)();
