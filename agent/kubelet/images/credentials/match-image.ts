/** Patterns of images, `*.azurecr.io/team`, as the kubelet's keyrings have them (URLsMatch of pkg/credentialprovider/keyring.go). Pure. */

interface Parts {
  readonly host: readonly string[];
  readonly port: string;
  readonly path: string;
}

function partsOf(text: string): Parts {
  const plain = text.replace(/^https?:\/\//, '');
  const slash = plain.indexOf('/');
  const authority = slash < 0 ? plain : plain.slice(0, slash);
  const [, host = authority, port = ''] = /^(.*?)(?::(\d+))?$/.exec(authority) ?? [];
  return { host: host.split('.'), port, path: slash < 0 ? '' : plain.slice(slash) };
}

/** As many parts of the host, each by itself (`*` is any of it); the same port; a path that begins so. */
export function matchesImage(pattern: string, image: string): boolean {
  const [wanted, found] = [partsOf(pattern), partsOf(image)];
  return (
    wanted.host.length === found.host.length &&
    wanted.port === found.port &&
    found.path.startsWith(wanted.path) &&
    wanted.host.every((part, at) => partMatches(part, found.host[at] ?? ''))
  );
}

/** Without going back further than the last `*`: linear in both, but for their product at worst. */
function partMatches(pattern: string, text: string): boolean {
  let [at, place, star, retry] = [0, 0, -1, 0];
  while (place < text.length) {
    if (pattern[at] === '*') {
      star = at++;
      retry = place;
    } else if (pattern[at] === text[place] || pattern[at] === '?') {
      at++;
      place++;
    } else if (star >= 0) {
      at = star + 1;
      place = ++retry;
    } else return false;
  }
  while (pattern[at] === '*') at++;
  return at === pattern.length;
}

export function patternProblem(pattern: string): string | undefined {
  if (pattern === '' || /\s/.test(pattern))
    return 'match image must be a host, with a port and a path perhaps';
  return partsOf(pattern).path.includes('*') ? 'globs are of the host alone' : undefined;
}
