/** Texts that a regular expression, a format and two lengths allow; for patterns as people write them, not for all of RE2. */
import type { JsonSchema } from './json-schema.ts';

/** A node of a pattern as far as it has been read. */
type Node =
  | { readonly kind: 'choice'; readonly branches: readonly (readonly Node[])[] }
  | { readonly kind: 'set'; readonly text: string }
  | { readonly kind: 'repeat'; readonly node: Node; readonly min: number; readonly max: number }
  | { readonly kind: 'edge' };

/** How a pattern is walked: which branch of each choice, how often beyond the least, and which letters. */
interface Walk {
  readonly branch: number;
  readonly more: number;
  readonly letter: number;
}

/** Samples of formats (those of kube-openapi's validation) by number. */
const samplesOfFormats: Readonly<Record<string, (index: number) => string>> = {
  'date-time': (index) => `2026-01-0${(index % 9) + 1}T00:00:00Z`,
  date: (index) => `2026-01-0${(index % 9) + 1}`,
  duration: (index) => `${index + 1}s`,
  byte: (index) => Buffer.from(`sample ${index}`).toString('base64'),
  password: (index) => `sample ${index}`,
  email: (index) => `sample-${index}@example.com`,
  hostname: (index) => `sample-${index}.example.com`,
  ipv4: (index) => `192.0.2.${index + 1}`,
  ipv6: (index) => `2001:db8::${index + 1}`,
  ip: (index) => `192.0.2.${index + 1}`,
  cidr: (index) => `192.0.2.${index * 16}/28`,
  mac: (index) => `02:00:00:00:00:0${index % 10}`,
  uri: (index) => `https://example.com/${index}`,
  uuid: (index) => `00000000-0000-4000-8000-00000000000${index % 10}`,
};

const letters = 'abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ/.-_:+*';
const branchesTried = 8;
const repeatsTried = [0, 1, 2, 3, 8, 16, 32, 64, 128, 256];

/** The `index`-th text of a schema, each another; undefined where none was found. */
export function sampleText(schema: JsonSchema, index: number): string | undefined {
  const { pattern, format = '', minLength = 0, maxLength = Infinity } = schema;
  const fits = (text: string): boolean => text.length >= minLength && text.length <= maxLength;
  if (pattern === undefined) {
    const plain = samplesOfFormats[format]?.(index) ?? `sample-${index}`;
    return plain.length > maxLength
      ? letters.charAt(index).repeat(Math.max(minLength, 1))
      : plain.padEnd(minLength, 'x');
  }
  const allowed = compile(pattern);
  const node = new PatternReader(pattern.replaceAll('(?i)', '')).read();
  const found = new Set<string>();
  for (const more of repeatsTried) {
    for (let branch = 0; branch < branchesTried; branch++) {
      for (let letter = 0; letter <= index; letter++) {
        const text = render(node, { branch, more, letter });
        if (!fits(text) || !allowed.test(text) || (text === '' && more === 0 && branch < branchesTried - 1))
          continue;
        found.add(text);
        if (found.size > index) return text;
      }
    }
  }
  return undefined;
}

/** RE2 has flags anywhere, ECMAScript at the end. */
function compile(pattern: string): RegExp {
  return new RegExp(pattern.replaceAll('(?i)', ''), pattern.includes('(?i)') ? 'i' : '');
}

function render(node: Node, walk: Walk): string {
  switch (node.kind) {
    case 'edge':
      return '';
    case 'set': {
      const only = new RegExp(`^${node.text}$`);
      const all = [...letters].filter((letter) => only.test(letter));
      if (all.length > 0) return all[walk.letter % all.length] ?? '';
      return node.text.replace(/^\\(.)$/, '$1');
    }
    case 'choice':
      return (node.branches[Math.min(walk.branch, node.branches.length - 1)] ?? [])
        .map((each) => render(each, walk))
        .join('');
    case 'repeat':
      return render(node.node, walk).repeat(Math.min(node.min + walk.more, node.max));
  }
}

/** Reads what has alternatives, groups, classes, escapes and repetitions. */
class PatternReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  read(): Node {
    const branches: Node[][] = [[]];
    for (; this.#at < this.#text.length && this.#text[this.#at] !== ')';) {
      if (this.#text[this.#at] === '|') {
        this.#at++;
        branches.push([]);
      } else branches.at(-1)?.push(this.#repeated(this.#atom()));
    }
    return { kind: 'choice', branches };
  }

  #atom(): Node {
    if (this.#take(/[\^$]|\\[bBAz]/y) !== undefined) return { kind: 'edge' };
    if (this.#take(/\((\?:)?/y) !== undefined) {
      const inner = this.read();
      this.#at++;
      return inner;
    }
    return { kind: 'set', text: this.#take(/\[\^?\]?(\\.|[^\]\\])*\]|\\x[0-9a-f]{2}|\\.|[^]/iy) ?? '' };
  }

  #repeated(node: Node): Node {
    const mark = this.#take(/[*+?]\??|\{\d+(,\d*)?\}\??/y);
    if (mark === undefined) return node;
    const [, least = '0', comma, most] = /^\{(\d+)(,(\d*))?\}/.exec(mark) ?? [];
    if (mark.startsWith('{')) {
      const max = comma === undefined ? Number(least) : most === '' ? Infinity : Number(most);
      return { kind: 'repeat', node, min: Number(least), max };
    }
    return {
      kind: 'repeat',
      node,
      min: mark.startsWith('+') ? 1 : 0,
      max: mark.startsWith('?') ? 1 : Infinity,
    };
  }

  #take(what: RegExp): string | undefined {
    what.lastIndex = this.#at;
    const [found] = what.exec(this.#text) ?? [];
    this.#at += found?.length ?? 0;
    return found;
  }
}
