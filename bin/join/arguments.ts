/** What `podwright join` was given, read. Pure. */
import { parseTokenText, type TokenText } from '#api/bootstrap-token/bootstrap-token.ts';
import { dnsSubdomain } from '#api/validation/format.ts';
import { PodwrightError } from '#base/errors.ts';

export interface JoinTarget {
  /** `https://192.0.2.1:6443` */
  readonly server: string;
  readonly token: TokenText;
  /** SHA-256 of the authority's public key (SubjectPublicKeyInfo), hexadecimal. */
  readonly caHash: string;
  readonly nodeName: string;
}

const portDefault = 6443;

/** @throws {E_USAGE} with all that is wrong, in one line */
export function readTarget(
  url: string,
  given: { readonly token: string; readonly caHash: string; readonly name: string },
): JoinTarget {
  const server = readServer(url);
  const token = parseTokenText(given.token);
  const [, caHash] = /^sha256:([0-9a-f]{64})$/i.exec(given.caHash) ?? [];
  const [nameProblem] = dnsSubdomain(given.name);
  const problems = [
    ...(server === undefined ? [`${url}: write https://HOST:PORT`] : []),
    // Not the token itself: what is wrong by a letter is a secret nevertheless.
    ...(token === undefined ? ['--token: write ID.SECRET, six and sixteen of a-z and 0-9'] : []),
    ...(caHash === undefined ? [`--ca-hash ${given.caHash}: write sha256: and 64 hexadecimal digits`] : []),
    ...(nameProblem === undefined ? [] : [`--name ${given.name}: ${nameProblem}`]),
  ];
  if (server === undefined || token === undefined || caHash === undefined || problems.length > 0) {
    throw new PodwrightError('E_USAGE', `join: ${problems.join('; ')}; nothing was written`);
  }
  return { server, token, caHash: caHash.toLowerCase(), nodeName: given.name };
}

/** Also without the scheme, and without the port. undefined: not an address of an API server */
function readServer(text: string): string | undefined {
  const whole = text.includes('://') ? text : `https://${text}`;
  if (!URL.canParse(whole)) return undefined;
  const { protocol, hostname, pathname, search, hash, username } = new URL(whole);
  const isPlain = ['', '/'].includes(pathname) && search === '' && hash === '' && username === '';
  if (protocol !== 'https:' || hostname === '' || !isPlain) return undefined;
  // What URL leaves out as the default of https was written.
  const [, written] = /:(\d{1,5})\/?$/.exec(whole) ?? [];
  return `https://${hostname}:${written ?? portDefault}`;
}
