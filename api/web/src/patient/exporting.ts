// Files from what is shown: the values as CSV, the charts as one picture that says whose and when.

import { stamp } from "../times";
import { w } from "../words";
import type { History } from "./history";
import { csv } from "./trends";

export function saveCsv(patient: string, history: History): void {
  save(
    new Blob([csv(history.series, patient)], { type: "text/csv;charset=utf-8" }),
    name(patient, history, "csv"),
  );
}

const HEAD = 46;
const CAPTION = 20;

export function savePng(box: HTMLElement, title: string, history: History): void {
  const figures = [...box.querySelectorAll<HTMLElement>("figure")];
  const canvases = figures.map((f) => f.querySelector("canvas"));
  const ratio = window.devicePixelRatio || 1;
  const width = Math.max(...canvases.map((c) => c?.width ?? 0));
  const height = canvases.reduce((sum, c) => sum + (c?.height ?? 0) + CAPTION * ratio, HEAD * ratio);
  const picture = document.createElement("canvas");
  picture.width = width;
  picture.height = height;
  const context = picture.getContext("2d");
  if (context === null || width === 0) return;
  const style = getComputedStyle(document.documentElement);
  context.fillStyle = style.getPropertyValue("--tile");
  context.fillRect(0, 0, width, height);
  context.fillStyle = style.getPropertyValue("--ink");
  context.font = `600 ${15 * ratio}px 'Inter Variable', system-ui, sans-serif`;
  context.fillText(title, 8 * ratio, 18 * ratio);
  context.font = `${12 * ratio}px 'Inter Variable', system-ui, sans-serif`;
  context.fillText(
    w.trends.picture({ from: stamp(history.from), to: stamp(history.to) }),
    8 * ratio,
    36 * ratio,
  );
  let y = HEAD * ratio;
  figures.forEach((figure, k) => {
    const canvas = canvases[k];
    if (canvas === null || canvas === undefined) return;
    const caption = figure.querySelector("figcaption");
    const words = [caption?.querySelector("strong"), caption?.querySelector(".unit")]
      .map((e) => e?.textContent ?? "")
      .join(" ");
    context.fillText(words, 8 * ratio, y + 14 * ratio);
    y += CAPTION * ratio;
    context.drawImage(canvas, 0, y);
    y += canvas.height;
  });
  picture.toBlob((blob) => {
    if (blob !== null) save(blob, name("trends", history, "png"));
  }, "image/png");
}

function name(what: string, history: History, ending: string): string {
  const times = [history.from, history.to].map((t) =>
    new Date(t).toISOString().slice(0, 16).replaceAll(":", ""),
  );
  return `${what.replaceAll(/[^\w-]/g, "_")}_${times.join("_")}.${ending}`;
}

function save(blob: Blob, file: string): void {
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = url;
  link.download = file;
  link.click();
  window.setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
