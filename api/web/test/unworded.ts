// Finds texts for people that stand in the code instead of a catalogue.

import { parseSync } from "vite";

interface Node {
  type: string;
  start: number;
  [part: string]: unknown;
}

// What a person reads or hears of an element.
const SAID = /^(aria-(label|description|roledescription|valuetext|placeholder)|title|placeholder|alt|label)$/;
const LETTER = /\p{L}/u;
// Two words, or one that begins a sentence.
const WORDS = /\p{L}{2,}[,.:;]? \p{L}|^\p{Lu}\p{Ll}+[.…!?]?$/u;
// What looks like words and is none: of the style, keys of a keyboard, what the server is told, names that the API gives.
const NO_WORDS =
  /system-ui|color-mix|prefers-|^(input, button|Escape|sequence gap|no heartbeat|demo nurse|local user)$/;

// Each as "line: text".
export function unworded(code: string, name: string): string[] {
  const found: string[] = [];
  const report = (node: Node, text: string) =>
    found.push(`${code.slice(0, node.start).split("\n").length}: ${text.trim()}`);
  const { program, errors } = parseSync(name, code);
  if (errors.length > 0) throw new Error(`${name}: ${errors[0]?.message}`);

  // `shown`: whatever this expression gives is shown as it is.
  const look = (node: Node, shown: boolean): void => {
    const text = textOf(node);
    if (text !== null) {
      if (shown ? LETTER.test(text) : WORDS.test(text) && !NO_WORDS.test(text)) report(node, text);
      return;
    }
    switch (node.type) {
      case "ImportDeclaration":
      case "ExportAllDeclaration":
      case "ThrowStatement": // for whoever reads the console
        return;
      case "JSXAttribute": {
        const attribute = String((node.name as Node).name);
        if (node.value === null) return;
        if (SAID.test(attribute)) look(node.value as Node, true);
        else if (node.ofComponent === true || /^on[A-Z]/.test(attribute)) look(node.value as Node, false);
        return;
      }
      case "JSXOpeningElement": {
        const ofComponent = !/^[a-z]/.test(String((node.name as Node).name));
        for (const part of node.attributes as Node[]) look({ ...part, ofComponent }, false);
        return;
      }
      case "ConditionalExpression":
        look(node.test as Node, false);
        look(node.consequent as Node, shown);
        look(node.alternate as Node, shown);
        return;
      case "LogicalExpression":
        look(node.left as Node, shown && node.operator !== "&&");
        look(node.right as Node, shown);
        return;
      case "BinaryExpression":
        look(node.left as Node, shown && node.operator === "+");
        look(node.right as Node, shown && node.operator === "+");
        return;
      case "TemplateLiteral":
        for (const quasi of node.quasis as Node[]) look(quasi, shown);
        for (const expression of node.expressions as Node[]) look(expression, shown);
        return;
      case "JSXElement":
      case "JSXFragment":
        for (const [part, inside] of parts(node)) look(inside, part === "children");
        return;
      default: {
        const through = shown && /^(JSXExpressionContainer|ParenthesizedExpression)$/.test(node.type);
        if (/^TS(?!As|Satisfies|NonNull)/.test(node.type)) return; // types
        for (const [, inside] of parts(node)) look(inside, through);
      }
    }
  };
  look(program as unknown as Node, false);
  return found;
}

function textOf(node: Node): string | null {
  if (node.type === "JSXText" || node.type === "Literal")
    return typeof node.value === "string" ? node.value : null;
  return node.type === "TemplateElement" ? (node.value as { raw: string }).raw : null;
}

function parts(node: Node): [string, Node][] {
  return Object.entries(node).flatMap(([part, value]) =>
    (Array.isArray(value) ? value : [value])
      .filter((inside): inside is Node => typeof inside?.type === "string")
      .map((inside): [string, Node] => [part, inside]),
  );
}
