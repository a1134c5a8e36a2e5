import { isRequestUri } from '#api/structural/format-address.ts';
import { functionsOf, type CelFunction, type Row } from '#api/cel/eval/function.ts';
import { CelMap, Fault, Opaque, type Value } from '#api/cel/eval/values.ts';
import { traversal } from './costs.ts';

/** Its parts as they were written (Go's url.Parse): nothing is made small, decoded, resolved or left out but the scheme's capitals. */
interface UrlParts {
  readonly scheme: string;
  /** With its port, and the brackets of IPv6. */
  readonly host: string;
  readonly path: string;
  readonly query: string;
}

class UrlValue extends Opaque {
  readonly typeName = 'kubernetes.URL';
  readonly text: string;
  readonly parts: UrlParts;

  constructor(text: string, parts: UrlParts) {
    super();
    this.text = text;
    this.parts = parts;
  }

  equals(other: Opaque): boolean {
    return other instanceof UrlValue && other.text === this.text;
  }
}

/** As url.ParseRequestURI takes it: absolute, or a path. */
function parse(text: string): UrlValue | undefined {
  if (!isRequestUri(text)) return undefined;
  const [, scheme = '', rest = '', query = ''] =
    /^(?:([a-zA-Z][a-zA-Z0-9+.-]*):)?([^?#]*)(?:\?([^#]*))?(?:#.*)?$/s.exec(text) ?? [];
  const hasHost = scheme !== '' && rest.startsWith('//');
  const [, authority = '', path = ''] = /^\/\/([^/]*)(.*)$/s.exec(rest) ?? [];
  return new UrlValue(text, {
    scheme: scheme.toLowerCase(),
    host: hasHost ? authority.slice(authority.lastIndexOf('@') + 1) : '',
    // What is opaque (`mailto:me`) has no path.
    path: hasHost ? path : rest.startsWith('/') ? rest : '',
    query,
  });
}

function read(value: Value, what: (parts: UrlParts) => Value): Value {
  return value instanceof UrlValue ? what(value.parts) : new Fault('no such overload');
}

const port = /:(\d*)$/;

/** As it was written where that is an encoding, else encoded anew (url.EscapedPath). */
function escapedPath(path: string): string {
  if (/^(?:[A-Za-z0-9\-_.~$&+,/:;=@!'()*[\]]|%[0-9a-fA-F]{2})*$/.test(path)) return path;
  return [...unescaped(path)]
    .map((byte) => {
      const letter = String.fromCharCode(byte);
      return /[A-Za-z0-9\-_.~$&+,/:;=@]/.test(letter)
        ? letter
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    })
    .join('');
}

/** The bytes that a text with escapes stands for. */
function unescaped(text: string): Buffer {
  const parts = text
    .split(/(%[0-9a-fA-F]{2})/)
    .map((part, index) => (index % 2 === 1 ? Buffer.from(part.slice(1), 'hex') : Buffer.from(part)));
  return Buffer.concat(parts);
}

/** Keys with all their values, in order; what is no pair is passed over (url.ParseQuery). */
function queryMap(query: string): CelMap {
  const byKey = new Map<string, string[]>();
  for (const pair of query.split('&')) {
    if (pair === '' || pair.includes(';') || /%(?![0-9a-fA-F]{2})/.test(pair)) continue;
    const end = pair.indexOf('=');
    const [key = '', value = ''] = [
      end < 0 ? pair : pair.slice(0, end),
      end < 0 ? '' : pair.slice(end + 1),
    ].map((part) => unescaped(part.replaceAll('+', ' ')).toString());
    const known = byKey.get(key);
    if (known === undefined) byKey.set(key, [value]);
    else known.push(value);
  }
  return new CelMap(new Map([...byKey].map(([key, values]) => [key, [key, values]])));
}

/** Kubernetes' own (apiserver/pkg/cel/library/urls.go). */
const rows: Readonly<Record<string, Row>> = {
  'url(string): kubernetes.URL': [
    (text) =>
      parse(String(text)) ??
      new Fault(
        `URL parse error during conversion from string: parse ${JSON.stringify(text)}: invalid URI for request`,
      ),
    traversal,
  ],
  'isURL(string): bool': [(text) => parse(String(text)) !== undefined, traversal],
  'kubernetes.URL.getScheme(): string': (value) => read(value, ({ scheme }) => scheme),
  'kubernetes.URL.getHost(): string': (value) => read(value, ({ host }) => host),
  'kubernetes.URL.getHostname(): string': (value) =>
    read(value, ({ host }) => host.replace(port, '').replaceAll(/^\[|\]$/g, '')),
  'kubernetes.URL.getPort(): string': (value) => read(value, ({ host }) => port.exec(host)?.[1] ?? ''),
  'kubernetes.URL.getEscapedPath(): string': (value) => read(value, ({ path }) => escapedPath(path)),
  'kubernetes.URL.getQuery(): map(string, list(string))': (value) =>
    read(value, ({ query }) => queryMap(query)),
};

export const urls: readonly CelFunction[] = functionsOf(rows);
