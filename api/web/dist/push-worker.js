// Shows the messages that a push service brings. Nothing of a patient is in them, and nothing is kept here.

function read(data) {
  try {
    const said = data.json();
    if (typeof said.title === "string") return said;
  } catch {
    // Shown as below: a browser that is woken must show something.
  }
  const words = new URL(self.location.href).searchParams; // in the language of the page that subscribed
  return {
    title: words.get("title") ?? "Message from Vigil",
    text: words.get("text") ?? "Open Vigil to see more.",
    tag: "unreadable",
    link: "/",
    priority: "high",
  };
}

self.addEventListener("install", () => self.skipWaiting());

self.addEventListener("push", (event) => {
  const said = read(event.data);
  // The same tag: one alarm is one entry, replaced when it is told again.
  const shown = self.registration.showNotification(said.title, {
    body: said.text,
    tag: said.tag,
    renotify: true,
    requireInteraction: said.priority === "high",
    icon: "/favicon.svg",
    data: { link: said.link },
  });
  event.waitUntil(shown);
});

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  const to = new URL(event.notification.data.link, self.location.origin);
  event.waitUntil(to.origin === self.location.origin ? open(to.href) : Promise.resolve());
});

async function open(address) {
  for (const client of await self.clients.matchAll({ type: "window", includeUncontrolled: true })) {
    if (new URL(client.url).pathname === "/") {
      await client.focus();
      return client.navigate(address);
    }
  }
  return self.clients.openWindow(address);
}
