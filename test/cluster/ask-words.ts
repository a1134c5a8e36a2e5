/** Reads command lines of kubectl that ask something, or make objects, and that `ask.ts` answers. Pure. */

export interface AskedObjects {
  readonly kind: 'objects';
  /** By any of its names, as it was written. */
  readonly resource: string;
  /** Undefined: all that the query lets pass. */
  readonly name: string | undefined;
  /** Undefined: of all. */
  readonly namespace: string | undefined;
  readonly query: Readonly<Record<string, string>>;
  readonly output: '' | 'wide' | 'json' | 'name' | 'jsonpath';
  readonly template: readonly TemplatePart[];
  readonly hasHeaders: boolean;
  readonly ignoresNone: boolean;
}

export type TemplatePart =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'path'; readonly path: string };

export type Asked =
  | AskedObjects
  | { readonly kind: 'raw'; readonly path: string }
  | { readonly kind: 'logs'; readonly path: string }
  | { readonly kind: 'create' };

interface Line {
  readonly words: readonly string[];
  readonly options: ReadonlyMap<string, string>;
}

const longNames: Readonly<Record<string, string>> = {
  ...{
    '-n': '--namespace',
    '-A': '--all-namespaces',
    '-l': '--selector',
    '-o': '--output',
    '-c': '--container',
  },
  ...{ '-p': '--previous', '-f': '--filename' },
};
const withoutValue = ['--all-namespaces', '--no-headers', '--ignore-not-found', '--previous'];

/** Undefined: something else than these. */
export function parseAsk(args: readonly string[]): Asked | undefined {
  const [verb, ...rest] = args;
  if (verb === 'create') return rest.join(' ') === '-f -' ? { kind: 'create' } : undefined;
  if (verb === 'get' && rest[0] === '--raw')
    return rest.length === 2 ? { kind: 'raw', path: rest[1] ?? '' } : undefined;
  if (verb !== 'get' && verb !== 'logs') return undefined;
  const line = readLine(rest);
  if (line === undefined) return undefined;
  return verb === 'get' ? parseGet(line) : parseLogs(line);
}

function readLine(args: readonly string[]): Line | undefined {
  const words: string[] = [];
  const options = new Map<string, string>();
  for (let index = 0; index < args.length; index++) {
    const arg = args[index] ?? '';
    if (!arg.startsWith('-')) {
      words.push(arg);
      continue;
    }
    const [, short = '', value] = /^(--?[a-z-]+)(?:=(.*))?$/is.exec(arg) ?? [];
    const name = longNames[short] ?? short;
    if (!name.startsWith('--')) return undefined;
    if (value !== undefined) options.set(name, value);
    else if (withoutValue.includes(name)) options.set(name, 'true');
    else options.set(name, args[++index] ?? '');
  }
  return { words, options };
}

const known = (line: Line, names: readonly string[]): boolean =>
  [...line.options.keys()].every((name) => names.includes(name));

const getOptions = [
  ...['--namespace', '--all-namespaces', '--selector', '--field-selector', '--output', '--no-headers'],
  '--ignore-not-found',
];

function parseGet(line: Line): AskedObjects | undefined {
  const { words, options } = line;
  const [resource = '', name, ...more] = words.length === 1 ? (words[0] ?? '').split('/') : words;
  if (!known(line, getOptions) || more.length > 0 || !/^[a-z]+$/.test(resource) || resource === 'all')
    return undefined;
  if (name?.includes('/') === true) return undefined;
  const [, output = '', text = ''] = /^([a-z]*)(?:=(.*))?$/s.exec(options.get('--output') ?? '') ?? [];
  const template = output === 'jsonpath' ? parseTemplate(text) : [];
  if (!isOutput(output) || template === undefined || (text !== '' && output !== 'jsonpath')) return undefined;
  const [labels, fields] = [options.get('--selector'), options.get('--field-selector')];
  return {
    ...{ kind: 'objects', resource, name, output, template },
    namespace: options.has('--all-namespaces') ? undefined : (options.get('--namespace') ?? 'default'),
    query: {
      ...(labels === undefined ? {} : { labelSelector: labels }),
      ...(fields === undefined ? {} : { fieldSelector: fields }),
    },
    hasHeaders: !options.has('--no-headers'),
    ignoresNone: options.has('--ignore-not-found'),
  };
}

const isOutput = (text: string): text is AskedObjects['output'] =>
  ['', 'wide', 'json', 'name', 'jsonpath'].includes(text);

/** Undefined: with a `range`, which is kubectl's. */
function parseTemplate(text: string): readonly TemplatePart[] | undefined {
  const parts: TemplatePart[] = [];
  for (const [whole, inner] of text.matchAll(/\{((?:"[^"]*"|'[^']*'|[^{}"'])*)\}|[^{}]+/g)) {
    const literal = /^(["'])(.*)\1$/s.exec(inner ?? '')?.[2];
    if (inner === undefined) parts.push({ kind: 'text', text: whole });
    else if (literal !== undefined) parts.push({ kind: 'text', text: literal.replaceAll('\\n', '\n') });
    else if (/^[.$@[]/.test(inner)) parts.push({ kind: 'path', path: inner });
    else return undefined;
  }
  return parts;
}

function parseLogs(line: Line): Asked | undefined {
  const { words, options } = line;
  const [pod = '', container] = words;
  if (!known(line, ['--namespace', '--container', '--previous', '--tail'])) return undefined;
  if (words.length > 2 || pod === '' || pod.includes('/')) return undefined;
  const namespace = options.get('--namespace') ?? 'default';
  const query = new URLSearchParams();
  const of = options.get('--container') ?? container;
  if (of !== undefined) query.set('container', of);
  if (options.has('--previous')) query.set('previous', 'true');
  const tail = options.get('--tail');
  if (tail !== undefined) query.set('tailLines', tail);
  const text = query.toString();
  return {
    kind: 'logs',
    path: `/api/v1/namespaces/${namespace}/pods/${pod}/log${text === '' ? '' : `?${text}`}`,
  };
}
