// Subscribes this browser to messages, and shows the subscription so that it can become somebody's address.

const [take, stop, state, address, copy] = ["take", "stop", "state", "address", "copy"].map((id) => document.getElementById(id));

function show(text, subscription = null) {
  state.textContent = text;
  address.value = subscription === null ? "" : JSON.stringify(subscription);
  for (const element of [address, copy, stop]) element.hidden = subscription === null;
  take.hidden = subscription !== null;
}

function bytes(base64url) {
  const base64 = base64url.replaceAll("-", "+").replaceAll("_", "/");
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

async function publicKey() {
  const answer = await fetch("/api/v1/push-key");
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.detail);
  return bytes(said.public_key);
}

const TAKEN = "This browser takes messages once its subscription, below, is the address of a person. Give it to who runs Vigil.";

async function subscribe() {
  show("Waiting for the browser…");
  const key = await publicKey();
  if ((await Notification.requestPermission()) !== "granted") {
    throw new Error("This browser does not allow messages of this page. Allow them in its settings for this site.");
  }
  await navigator.serviceWorker.register("/push-worker.js");
  const worker = await navigator.serviceWorker.ready;
  show(TAKEN, await worker.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key }));
}

async function unsubscribe() {
  const worker = await navigator.serviceWorker.ready;
  await (await worker.pushManager.getSubscription())?.unsubscribe();
  show("This browser takes no messages.");
}

async function begin() {
  if (!window.isSecureContext || !("serviceWorker" in navigator) || !("PushManager" in window)) {
    show("This browser cannot take messages here: it needs https:// and support for web push.");
    take.disabled = true;
    return;
  }
  const worker = await navigator.serviceWorker.getRegistration("/");
  const found = await worker?.pushManager.getSubscription();
  if (found) show(TAKEN, found);
  else show("This browser takes no messages.");
}

function orSayWhy(work) {
  return () => work().catch((error) => show(`That did not work: ${error.message}`));
}

take.addEventListener("click", orSayWhy(subscribe));
stop.addEventListener("click", orSayWhy(unsubscribe));
copy.addEventListener("click", orSayWhy(() => navigator.clipboard.writeText(address.value)));
orSayWhy(begin)();
