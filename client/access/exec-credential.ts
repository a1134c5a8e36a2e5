import { execFile } from 'node:child_process';
import { PodwrightError } from '#base/errors.ts';
import { at, isObject, stringOf } from '#api/wire/json.ts';
import type { ClientCredentials } from '#client/http-transport.ts';
import type { ExecPlugin, KubeconfigAccess } from '#client/kubeconfig.ts';

/** What a program of `user.exec` said of who asks. */
export interface ExecCredential extends Pick<ClientCredentials, 'clientCertPem' | 'clientKeyPem'> {
  readonly token: string | undefined;
  /** Milliseconds since the epoch; undefined: until it is refused. */
  readonly expiresMs: number | undefined;
}

const runMsMax = 60_000;
const outputBytesMax = 1_048_576;

/** Runs the program. @throws {E_INVALID} with what it wrote to stderr, or what is wrong with what it printed */
export async function runExecPlugin(
  plugin: ExecPlugin,
  cluster: Pick<KubeconfigAccess, 'server' | 'serverName' | 'insecureSkipTlsVerify'> & {
    readonly caPem: string | undefined;
  },
): Promise<ExecCredential> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const env = {
    ...process.env,
    ...plugin.environment,
    KUBERNETES_EXEC_INFO: JSON.stringify(renderExecInfo(plugin, cluster)),
  };
  const child = execFile(
    plugin.command,
    plugin.args,
    { env, timeout: runMsMax, maxBuffer: outputBytesMax, encoding: 'utf8' },
    (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(failed(plugin, stderr.trim().slice(-500) || error.message, error));
    },
  );
  child.stdin?.on('error', () => undefined); // It may end before it reads that there is nothing.
  child.stdin?.end();
  return parseExecCredential(plugin, await promise);
}

/** What the program finds in KUBERNETES_EXEC_INFO. */
export function renderExecInfo(
  { apiVersion, provideClusterInfo }: ExecPlugin,
  cluster: Parameters<typeof runExecPlugin>[1],
): object {
  const ca =
    cluster.caPem === undefined
      ? {}
      : { 'certificate-authority-data': Buffer.from(cluster.caPem).toString('base64') };
  const serverName = cluster.serverName === undefined ? {} : { 'tls-server-name': cluster.serverName };
  const insecure = cluster.insecureSkipTlsVerify ? { 'insecure-skip-tls-verify': true } : {};
  const known = { server: cluster.server, ...ca, ...serverName, ...insecure };
  return {
    apiVersion,
    kind: 'ExecCredential',
    spec: { interactive: false, ...(provideClusterInfo ? { cluster: known } : {}) },
  };
}

/** @throws {E_INVALID} */
export function parseExecCredential(plugin: ExecPlugin, text: string): ExecCredential {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw failed(plugin, 'what it printed is not JSON', error);
  }
  if (at(value, 'kind') !== 'ExecCredential' || at(value, 'apiVersion') !== plugin.apiVersion)
    throw failed(plugin, `what it printed is no ExecCredential of ${plugin.apiVersion}`);
  const status = at(value, 'status');
  if (!isObject(status)) throw failed(plugin, 'its ExecCredential has no status');
  const { token, clientCertificateData, clientKeyData, expirationTimestamp } = status;
  const textAt = (given: unknown): string | undefined =>
    stringOf(given) === '' ? undefined : stringOf(given);
  const clientCertPem = textAt(clientCertificateData);
  const clientKeyPem = textAt(clientKeyData);
  if ((clientCertPem === undefined) !== (clientKeyPem === undefined))
    throw failed(plugin, 'a certificate without its key, or a key without its certificate');
  if (textAt(token) === undefined && clientCertPem === undefined)
    throw failed(plugin, 'neither a token nor a certificate');
  const expiresMs = expirationTimestamp === undefined ? undefined : Date.parse(stringOf(expirationTimestamp));
  if (Number.isNaN(expiresMs)) throw failed(plugin, 'expirationTimestamp is no time');
  return { token: textAt(token), clientCertPem, clientKeyPem, expiresMs };
}

function failed({ command, installHint }: ExecPlugin, why: string, cause?: unknown): PodwrightError {
  const hint = installHint === '' ? '' : ` (${installHint.split('\n')[0]})`;
  return new PodwrightError('E_INVALID', `run credential plugin ${command}: ${why}${hint}`, { cause });
}
