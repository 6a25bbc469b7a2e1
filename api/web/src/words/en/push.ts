// The page on which a browser is subscribed to messages.

export const push = {
  pageTitle: "Vigil: messages to this browser",
  title: "Messages to this browser",
  warning:
    "Vigil is not a certified alarm system, and a message can be late or lost: watch the bedside monitors.",
  take: "Let this browser take messages",
  address: "Subscription of this browser",
  copy: "Copy",
  stop: "Take no more messages",
  ward: "To the ward",
  taken:
    "This browser takes messages once its subscription, below, is the address of a person. Give it to who runs Vigil.",
  waiting: "Waiting for the browser…",
  notAllowed: "This browser does not allow messages of this page. Allow them in its settings for this site.",
  none: "This browser takes no messages.",
  cannot: "This browser cannot take messages here: it needs https:// and support for web push.",
  failed: ({ words }: { words: string }) => `That did not work: ${words}`,
  unreadable: { title: "Message from Vigil", text: "Open Vigil to see more." },
};
