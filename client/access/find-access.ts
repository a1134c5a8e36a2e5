import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { PodwrightError } from '#base/errors.ts';
import { parseKubeconfigs, readKubeconfig, type KubeconfigAccess } from '#client/kubeconfig.ts';

/** Where a kubelet puts a pod's own credentials (ServiceAccount admission). */
const podDirectory = '/var/run/secrets/kubernetes.io/serviceaccount';

export interface AccessWishes {
  /** Paths of kubeconfigs, merged in this order. Default: those of KUBECONFIG, else ~/.kube/config, else what a pod is given. */
  readonly kubeconfig?: string | readonly string[] | undefined;
  readonly context?: string | undefined;
}

/**
 * How this process reaches its cluster, as kubectl and client-go find it.
 * @throws {E_INVALID} {E_UNSUPPORTED} for a kubeconfig that is wrong; {E_NOT_FOUND} where there is nothing to go by
 */
export function findAccess(
  { kubeconfig, context }: AccessWishes,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): KubeconfigAccess {
  const given = typeof kubeconfig === 'string' ? [kubeconfig] : kubeconfig;
  if (given !== undefined) return readKubeconfigs(given, context);
  // Of several, those that are not there are passed over, as kubectl does.
  const named = kubeconfigsNamed(environment);
  const present = named.filter((path) => existsSync(path));
  if (named.length > 0) return readKubeconfigs(present.length > 0 ? present : named, context);
  const own = join(environment['HOME'] ?? homedir(), '.kube', 'config');
  if (existsSync(own)) return readKubeconfigs([own], context);
  return podAccess(environment, podDirectory);
}

/** What KUBECONFIG names: one file, or several. */
export function kubeconfigsNamed(
  environment: Readonly<Record<string, string | undefined>>,
): readonly string[] {
  return (environment['KUBECONFIG'] ?? '').split(delimiter).filter((path) => path !== '');
}

function readKubeconfigs(paths: readonly string[], context: string | undefined): KubeconfigAccess {
  return parseKubeconfigs(
    paths.map((path) => readKubeconfig(path)),
    context,
  );
}

/** The credentials that every pod is given; the token is read for each request, as the kubelet renews it. @throws {E_NOT_FOUND} */
export function podAccess(
  environment: Readonly<Record<string, string | undefined>>,
  directory: string,
): KubeconfigAccess {
  const { KUBERNETES_SERVICE_HOST: host = '', KUBERNETES_SERVICE_PORT: port = '' } = environment;
  const token = join(directory, 'token');
  if (host === '' || port === '' || !existsSync(token)) {
    throw new PodwrightError(
      'E_NOT_FOUND',
      'find the cluster: no kubeconfig is given, KUBECONFIG is not set, ~/.kube/config is not there, and this is no pod',
    );
  }
  const namespace = join(directory, 'namespace');
  return {
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    namespace: existsSync(namespace) ? readText(namespace).trim() : 'default',
    ca: { kind: 'file', path: join(directory, 'ca.crt') },
    clientCert: { kind: 'none' },
    clientKey: { kind: 'none' },
    token: { kind: 'file', path: token },
    serverName: undefined,
    insecureSkipTlsVerify: false,
    exec: undefined,
    impersonate: undefined,
  };
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new PodwrightError('E_INVALID', `read ${path}`, { cause: error });
  }
}
