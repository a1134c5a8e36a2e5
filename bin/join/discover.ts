/** Whether what answers at an address is the cluster that a token and a hash speak of, found out without trust in it. */
import { objectOf, stringOf } from '#api/wire/json.ts';
import type { Clock } from '#base/clock.ts';
import { describeError, isPodwrightError, PodwrightError } from '#base/errors.ts';
import { createApiClient } from '#client/api-client.ts';
import { createHttpTransport, type HttpTransportOptions } from '#client/http-transport.ts';
import { isSignedBy } from '#control-plane/controllers/bootstrap-token/jws.ts';
import { signaturePrefix } from '#control-plane/controllers/bootstrap-token/plan.ts';
import type { JoinTarget } from './arguments.ts';
import { authorityIn, hashOfAuthority } from './cluster-info.ts';

const path = '/api/v1/namespaces/kube-public/configmaps/cluster-info';
const requestTimeoutMs = 10_000;
/** A token that was just made is signed with a moment later. */
export const patienceMs = 10_000;
const askAgainMs = 500;

type Data = Readonly<Record<string, string>>;

export interface DiscoverOptions {
  readonly clock: Clock;
  /** How long the cluster may take to sign with the token. */
  readonly patienceMs: number;
  readonly signal: AbortSignal;
}

/**
 * The authority of the cluster, PEM: what answers has it signed with the token, its hash is the one given, and it stands for that address.
 * @throws E_CONNECTION, E_PERMISSION, E_NOT_FOUND, each with what to do
 */
export async function discover(
  target: JoinTarget,
  { clock, patienceMs: waitMs, signal }: DiscoverOptions,
): Promise<string> {
  const { server, token, caHash } = target;
  const key = `${signaturePrefix}${token.id}`;
  const giveUpMs = clock.monotonic() + waitMs;
  let data = await fetchInfo(target, { insecureSkipTlsVerify: true, clock });
  while (data[key] === undefined) {
    if (clock.monotonic() > giveUpMs) {
      throw new PodwrightError(
        'E_PERMISSION',
        `join ${server}: the cluster does not know token ${token.id}, or it has ended; make another there with podwright token create --print-join-command`,
      );
    }
    await clock.sleep(askAgainMs, signal);
    data = await fetchInfo(target, { insecureSkipTlsVerify: true, clock });
  }
  const kubeconfig = data['kubeconfig'] ?? '';
  if (!(await isSignedBy(data[key], kubeconfig, token))) {
    throw new PodwrightError(
      'E_PERMISSION',
      `join ${server}: what answers there did not sign with the secret of token ${token.id}: the token has a slip, or somebody answers in the cluster's place; take the line that podwright token create --print-join-command prints`,
    );
  }
  const caCertPem = authorityIn(kubeconfig);
  if (caCertPem === undefined) {
    throw new PodwrightError(
      'E_INVALID',
      `join ${server}: its cluster-info names no authority; look at kubectl -n kube-public get configmap cluster-info -o yaml`,
    );
  }
  const found = hashOfAuthority(caCertPem);
  if (found !== caHash) {
    throw new PodwrightError(
      'E_PERMISSION',
      `join ${server}: the cluster's authority is sha256:${found}, not the one of --ca-hash: the hash is of another cluster, or somebody answers in its place; take the line that podwright token create --print-join-command prints`,
    );
  }
  // The same by a connection that only who has the authority's trust can hold.
  const again = await fetchInfo(target, { caPem: caCertPem, clock });
  if (again['kubeconfig'] !== kubeconfig) {
    throw new PodwrightError(
      'E_PERMISSION',
      `join ${server}: cluster-info is another one by a connection that is verified; try again`,
    );
  }
  return caCertPem;
}

async function fetchInfo({ server }: JoinTarget, how: Omit<HttpTransportOptions, 'server'>): Promise<Data> {
  await using transport = createHttpTransport({ ...how, server, requestTimeoutMs });
  const client = createApiClient({ transport, userAgent: 'podwright-join' });
  const { status, body } = await answered(server, () => client.raw('GET', path));
  if (status === 200) return dataOf(body);
  if (status === 404) {
    throw new PodwrightError(
      'E_NOT_FOUND',
      `join ${server}: there is no cluster-info: the server is not ready yet, or its cluster is not for joining; try again in a moment`,
    );
  }
  const why =
    status >= 500 || status === 429
      ? 'the server is not ready; try again in a moment'
      : 'it lets nobody read cluster-info; is this an API server of podwright?';
  throw new PodwrightError('E_CONNECTION', `join ${server}: HTTP ${status}: ${why}`);
}

/** What a connection that cannot be made says to whoever wrote the address. */
async function answered<T>(server: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (cause) {
    if (!isPodwrightError(cause, 'E_CONNECTION')) throw cause;
    throw new PodwrightError(
      'E_CONNECTION',
      `join ${server}: ${describeError(cause)}; ${remedyOf(describeError(cause))}`,
      { cause },
    );
  }
}

function remedyOf(text: string): string {
  if (/altnames|IP: .* is not in the cert|Hostname\/IP/i.test(text)) {
    return 'its certificate is not for this address: join by the one of --advertise-address of podwright server';
  }
  if (/certificate|self.signed|issuer/i.test(text))
    return 'it is not of the cluster that its cluster-info speaks of';
  return 'does the server run, is the address right, and does a firewall let it through?';
}

function dataOf(body: string): Data {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    return {}; // Whatever that is, it has signed nothing.
  }
  const entries = Object.entries(objectOf(objectOf(parsed)['data']));
  return Object.fromEntries(entries.map(([key, value]) => [key, stringOf(value)]));
}
