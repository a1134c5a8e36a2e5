/*
 * Links of a page that was got through a proxy lead back through the proxy, as kube-apiserver has it (k8s.io/apimachinery
 * util/proxy, Transport): those that begin at the root of the host that was asked.
 */

/** Where a page came from, and where its links are to lead. */
export interface ProxyPlace {
  /** `/api/v1/namespaces/n/pods/p/proxy` */
  readonly prefix: string;
  /** `address:port` of what answered, and the host that the client named: links to them are links to the root. */
  readonly hosts: readonly string[];
}

/** Attributes that hold a URL, by the element (HTML 4 and 5). */
const urlAttributes: Readonly<Record<string, readonly string[]>> = {
  a: ['href'],
  applet: ['codebase'],
  area: ['href'],
  audio: ['src'],
  base: ['href'],
  blockquote: ['cite'],
  body: ['background'],
  button: ['formaction'],
  command: ['icon'],
  del: ['cite'],
  embed: ['src'],
  form: ['action'],
  frame: ['longdesc', 'src'],
  head: ['profile'],
  html: ['manifest'],
  iframe: ['longdesc', 'src'],
  img: ['longdesc', 'src', 'usemap'],
  input: ['src', 'usemap', 'formaction'],
  ins: ['cite'],
  link: ['href'],
  object: ['classid', 'codebase', 'data', 'usemap'],
  q: ['cite'],
  script: ['src'],
  source: ['src'],
  video: ['poster', 'src'],
};

/** Elements whose content is no markup. */
const rawElements: ReadonlySet<string> = new Set([
  'script',
  'style',
  'textarea',
  'title',
  'xmp',
  'noembed',
  'noframes',
]);

/** The URL of a link or of a Location. Pure. */
export function rewriteUrl(url: string, { prefix, hosts }: ProxyPlace): string {
  const [, , host, path = '', rest = ''] =
    /^([a-z][a-z0-9+.-]*:)?(?:\/\/([^/?#]*))?([^?#]*)(.*)$/is.exec(url) ?? [];
  const isOther = host === undefined ? /^[a-z][a-z0-9+.-]*:/i.test(url) : !hosts.includes(host);
  if (isOther || !path.startsWith('/')) return url;
  // It may know of the proxy.
  if (path === prefix || path.startsWith(`${prefix}/`)) return `${path}${rest}`;
  return `${prefix}${path.replaceAll(/\/{2,}/g, '/')}${rest}`;
}

/** A tag, a comment or a declaration is kept until it is whole; what is longer is passed on as it is. */
const pendingMax = 65_536;

/** Rewrites the links of a page that comes piece by piece, one character a byte: what is no link stays the same, byte for byte. */
export class LinkRewriter {
  readonly #place: ProxyPlace;
  #pending = '';
  /** The element whose content is passed over. */
  #raw: string | undefined;

  constructor(place: ProxyPlace) {
    this.#place = place;
  }

  push(piece: string): string {
    let text = this.#pending + piece;
    let out = '';
    for (;;) {
      const end = this.#raw === undefined ? text.indexOf('<') : text.toLowerCase().indexOf(`</${this.#raw}`);
      if (end < 0) {
        // The beginning of the end of a raw element may be the end of the piece.
        const kept = this.#raw === undefined ? 0 : Math.min(text.length, this.#raw.length + 2);
        this.#pending = text.slice(text.length - kept);
        return out + text.slice(0, text.length - kept);
      }
      this.#raw = undefined;
      out += text.slice(0, end);
      text = text.slice(end);
      const length = tagLength(text);
      if (length === undefined) {
        const isTooLong = text.length > pendingMax;
        this.#pending = isTooLong ? '' : text;
        return isTooLong ? out + text : out;
      }
      out += this.#rewriteTag(text.slice(0, length));
      text = text.slice(length);
    }
  }

  end(): string {
    const rest = this.#pending;
    this.#pending = '';
    return rest;
  }

  #rewriteTag(tag: string): string {
    const name = /^<([a-z][a-z0-9]*)/i.exec(tag)?.[1]?.toLowerCase();
    if (name === undefined) return tag;
    if (rawElements.has(name) && !tag.endsWith('/>')) this.#raw = name;
    const wanted = urlAttributes[name];
    if (wanted === undefined) return tag;
    return tag.replaceAll(attribute, (whole: string, ...groups: readonly string[]) => {
      const [before = '', key = '', equals = '', value = ''] = groups;
      if (!wanted.includes(key.toLowerCase())) return whole;
      const quote = /^["']/.exec(value)?.[0] ?? '';
      const url = quote === '' ? value : value.slice(1, -1);
      const rewritten = rewriteUrl(url.trim(), this.#place);
      return rewritten === url.trim() ? whole : `${before}${key}${equals}${quote}${rewritten}${quote}`;
    });
  }
}

const attribute = /(\s|["'])([a-z-]+)(\s*=\s*)("[^"]*"|'[^']*'|[^\s"'>]+)/gi;

/** How long the tag, comment or declaration is that a text begins with; undefined while it is not whole. */
function tagLength(text: string): number | undefined {
  if (text.startsWith('<!--')) {
    const end = text.indexOf('-->', 4);
    return end < 0 ? undefined : end + 3;
  }
  if (text.length < 4 && '<!--'.startsWith(text)) return undefined;
  if (!/^<[a-z/!?]/i.test(text)) return 1; // A character like others.
  let quote = '';
  for (let index = 1; index < text.length; index++) {
    const character = text[index] ?? '';
    if (quote !== '') {
      if (character === quote) quote = '';
    } else if (character === '>') return index + 1;
    else if (
      (character === '"' || character === "'") &&
      /=\s*$/.test(text.slice(Math.max(0, index - 8), index))
    )
      quote = character;
  }
  return undefined;
}
