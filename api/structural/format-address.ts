/** Characters of a text that is looked at. */
const textLengthMax = 8192;

const atomChars = /[\x00-\x20()<>@,;:\\".[\]\x7f]/;

/** RFC 5322 address, alone or as `Name <address>` (Go's net/mail.ParseAddress). */
export function isEmail(text: string): boolean {
  const whole = text.trim();
  if (whole.length > textLengthMax) return false;
  if (!whole.endsWith('>')) return isAddress(whole);
  const open = whole.lastIndexOf('<');
  const name = whole.slice(0, Math.max(open, 0)).trim();
  return open >= 0 && isDisplayName(name) && isAddress(whole.slice(open + 1, -1).trim());
}

function isDisplayName(name: string): boolean {
  if (name.length > 1 && name.startsWith('"') && name.endsWith('"')) return isQuoted(name);
  return name.split(/\s+/).every((word) => word === '' || !atomChars.test(word.replaceAll('.', '')));
}

function isAddress(address: string): boolean {
  const at = address.lastIndexOf('@');
  if (at <= 0) return false;
  const [local, domain] = [address.slice(0, at), address.slice(at + 1)];
  const isLocal = local.startsWith('"') ? isQuoted(local) : isDotAtom(local);
  return isLocal && (isDotAtom(domain) || /^\[[^[\]\\\x00-\x20]+\]$/.test(domain));
}

function isDotAtom(text: string): boolean {
  return text.split('.').every((atom) => atom !== '' && !atomChars.test(atom));
}

/** A text in quotes, in which a backslash takes the next character as it is. */
function isQuoted(text: string): boolean {
  return (
    text.length > 1 && !/["\x00-\x08\x0a-\x1f\x7f]|\\$/.test(text.slice(1, -1).replaceAll(/\\[ -~]/g, ''))
  );
}

/** An absolute URI, or an absolute path (Go's url.ParseRequestURI). */
export function isRequestUri(text: string): boolean {
  if (text === '' || text.length > textLengthMax * 8 || /[\x00-\x1f\x7f]/.test(text)) return false;
  if (text === '*') return true;
  const scheme = /^([a-zA-Z][a-zA-Z0-9+.-]*):/.exec(text)?.[1];
  if (scheme === undefined && !text.startsWith('/')) return false;
  const rest = text.slice(scheme === undefined ? 0 : scheme.length + 1).split('?', 1)[0] ?? '';
  if (!rest.startsWith('/')) return scheme !== undefined && isPathStart(rest);
  const hasAuthority = scheme !== undefined && rest.startsWith('//');
  if (!hasAuthority) return areEscapesWhole(rest);
  const end = rest.indexOf('/', 2);
  const authority = rest.slice(2, end < 0 ? undefined : end);
  return isAuthority(authority) && areEscapesWhole(end < 0 ? '' : rest.slice(end));
}

/** What is opaque (`mailto:me`) is not looked into, but for its first character. */
function isPathStart(rest: string): boolean {
  return rest === '' || !rest.startsWith(' ');
}

function isAuthority(authority: string): boolean {
  const at = authority.lastIndexOf('@');
  const user = authority.slice(0, Math.max(at, 0));
  if (!/^[A-Za-z0-9\-._:~!$&'()*+,;=%@]*$/.test(user) || !areEscapesWhole(user)) return false;
  const host = authority.slice(at + 1);
  if (host.startsWith('[')) return /^\[[^\][\s<>"]*\](:\d*)?$/.test(host);
  const colon = host.lastIndexOf(':');
  const port = colon < 0 ? '' : host.slice(colon + 1);
  const name = colon < 0 ? host : host.slice(0, colon);
  return (
    /^\d*$/.test(port) && !/[\s"<>\\^`{|}[\]/#]/.test(name.replaceAll(/["<>]/g, '')) && isHostEscaped(name)
  );
}

/** In a host only what is not ASCII may be escaped. */
function isHostEscaped(name: string): boolean {
  return areEscapesWhole(name) && !/%[0-7]/.test(name);
}

function areEscapesWhole(text: string): boolean {
  return !/%(?![0-9a-fA-F]{2})/.test(text);
}
