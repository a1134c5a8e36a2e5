/** Authentication to registries: Basic (RFC 7617) and Docker's token scheme, which the OCI distribution ecosystem shares. */
import { field, optionalString, parseDocument } from '#api/oci/document.ts';
import type { Clock } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import { readBody } from './registry-body.ts';
import type { Transport } from './registry-transport.ts';

export interface Credentials {
  readonly username: string;
  readonly password: string;
}

export interface Challenge {
  readonly scheme: string; // lower case
  readonly parameters: Readonly<Record<string, string>>;
}

/** WWW-Authenticate (RFC 9110, 11.6.1): several challenges may share the field. */
export function parseChallenges(header: string): readonly Challenge[] {
  const challenges: { scheme: string; parameters: Record<string, string> }[] = [];
  const token = /\s*,?\s*(?:([A-Za-z][\w-]*)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))|([A-Za-z][\w-]*))/y;
  for (let match = token.exec(header); match !== null; match = token.exec(header)) {
    const [, name, quoted, plain, scheme] = match;
    if (scheme !== undefined) challenges.push({ scheme: scheme.toLowerCase(), parameters: {} });
    const current = challenges.at(-1);
    if (name !== undefined && current !== undefined) {
      current.parameters[name.toLowerCase()] = quoted?.replace(/\\(.)/g, '$1') ?? plain ?? '';
    }
  }
  return challenges;
}

/** Who challenges, and what there is to answer with. */
export interface AuthContext {
  readonly transport: Transport;
  readonly clock: Clock;
  /** Where the 401 came from: the registry, or whom it redirects to. */
  readonly challenger: URL;
  /** Those for the challenger; never those for the registry that redirected to it. */
  readonly credentials: Credentials | undefined;
  readonly path: string;
}

/**
 * The Authorization value that answers a 401, or undefined when there is none to give.
 * @throws E_PERMISSION when the token server refuses, E_CONNECTION
 */
export async function authorize(
  header: string,
  context: AuthContext,
  signal: AbortSignal,
): Promise<string | undefined> {
  const challenges = parseChallenges(header);
  const bearer = challenges.find((each) => each.scheme === 'bearer');
  const { credentials } = context;
  if (bearer !== undefined) return `Bearer ${await fetchToken(bearer, context, signal)}`;
  const isBasic = challenges.some((each) => each.scheme === 'basic');
  return isBasic && credentials !== undefined ? basic(credentials) : undefined;
}

async function fetchToken(challenge: Challenge, context: AuthContext, signal: AbortSignal): Promise<string> {
  const { realm, service, scope } = challenge.parameters;
  if (realm === undefined || !URL.canParse(realm)) {
    throw new PodwrightError('E_PERMISSION', 'authenticate to registry: it names no token server');
  }
  const url = new URL(realm);
  const { credentials, challenger } = context;
  checkRealm(url, challenger, credentials);
  if (service !== undefined) url.searchParams.set('service', service);
  url.searchParams.set('scope', scope ?? `repository:${context.path}:pull`);
  const headers: Record<string, string> =
    credentials === undefined ? {} : { authorization: basic(credentials) };
  const response = await context.transport({ url, headers }, signal);
  const bytes = await readBody(response, context.clock);
  if (response.status !== 200) {
    throw new PodwrightError('E_PERMISSION', `get token from ${url.host}: it answers ${response.status}`);
  }
  const document = parseDocument('token', bytes);
  const token = optionalString(field(document, 'token')) ?? optionalString(field(document, 'access_token'));
  if (token === undefined)
    throw new PodwrightError('E_PERMISSION', `get token from ${url.host}: none in its answer`);
  return token;
}

/** A password must not leave in the clear because somebody encrypted says where to. @throws E_PERMISSION */
function checkRealm(realm: URL, challenger: URL, credentials: Credentials | undefined): void {
  const attempt = `authenticate to ${challenger.host}: its token server ${realm.origin}`;
  if (realm.protocol !== 'https:' && realm.protocol !== 'http:') {
    throw new PodwrightError('E_PERMISSION', `${attempt} is none that can be asked`);
  }
  if (credentials !== undefined && challenger.protocol === 'https:' && realm.protocol === 'http:') {
    throw new PodwrightError(
      'E_PERMISSION',
      `${attempt} is not encrypted, and would be sent the password; use a registry whose token server speaks https, or pull without credentials`,
    );
  }
}

function basic({ username, password }: Credentials): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}
