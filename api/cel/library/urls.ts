import { functionsOf, type CelFunction, type Row } from '#api/cel/eval/function.ts';
import { CelMap, Fault, Opaque, type Value } from '#api/cel/eval/values.ts';
import { traversal } from './costs.ts';

class UrlValue extends Opaque {
  readonly typeName = 'kubernetes.URL';
  readonly text: string;
  readonly url: URL;
  /** A path alone, without scheme and host. */
  readonly isPath: boolean;

  constructor(text: string, url: URL, isPath: boolean) {
    super();
    this.text = text;
    this.url = url;
    this.isPath = isPath;
  }

  equals(other: Opaque): boolean {
    return other instanceof UrlValue && other.text === this.text;
  }
}

/** As url.ParseRequestURI: absolute, or a path. */
function parse(text: string): UrlValue | undefined {
  const isPath = text.startsWith('/');
  if (!isPath && !/^[a-zA-Z][a-zA-Z0-9+.-]*:\/\//.test(text)) return undefined;
  if (/[\u0000-\u0020\u007f]/.test(text)) return undefined;
  const url = URL.parse(text, isPath ? 'http://none' : undefined);
  return url === null ? undefined : new UrlValue(text, url, isPath);
}

function read(value: Value, what: (url: UrlValue) => Value): Value {
  return value instanceof UrlValue ? what(value) : new Fault('no such overload');
}

/** What stands between scheme and path, as it was written: URL leaves out a default port. */
function hostOf({ text, isPath }: UrlValue): string {
  return isPath ? '' : (/^[^:]+:\/\/(?:[^/?#@]*@)?([^/?#]*)/.exec(text)?.[1] ?? '');
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
  'kubernetes.URL.getScheme(): string': (value) =>
    read(value, ({ url, isPath }) => (isPath ? '' : url.protocol.slice(0, -1))),
  'kubernetes.URL.getHost(): string': (value) => read(value, hostOf),
  'kubernetes.URL.getHostname(): string': (value) =>
    read(value, (url) =>
      hostOf(url)
        .replace(/:\d*$/, '')
        .replaceAll(/^\[|\]$/g, ''),
    ),
  'kubernetes.URL.getPort(): string': (value) => read(value, (url) => /:(\d*)$/.exec(hostOf(url))?.[1] ?? ''),
  'kubernetes.URL.getEscapedPath(): string': (value) =>
    read(value, ({ url, text, isPath }) =>
      url.pathname === '/' && !isPath && !/^[^:]+:\/\/[^/?#]*\//.test(text) ? '' : url.pathname,
    ),
  'kubernetes.URL.getQuery(): map(string, list(string))': (value) =>
    read(value, ({ url }) => {
      const keys = [...new Set(url.searchParams.keys())];
      return new CelMap(new Map(keys.map((key) => [key, [key, url.searchParams.getAll(key)]])));
    }),
};

export const urls: readonly CelFunction[] = functionsOf(rows);
