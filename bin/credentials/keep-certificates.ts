/** Certificates are made anew while the server runs: its own, the administrator's, and those of the nodes it wrote credentials for. */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import type { Clock } from '#base/clock.ts';
import { writeDurably } from '#base/durable-file.ts';
import { describeError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { namesIn } from '#base/names-in.ts';
import { loadKubeconfig } from '#client/kubeconfig.ts';
import { proxyKubeconfigName } from '#bin/paths.ts';
import type { ApiServer } from '#control-plane/apiserver/server.ts';

export interface CertificateKeeping {
  readonly server: Pick<
    ApiServer,
    'renewCertificates' | 'issueNodeCredentials' | 'isNodeServingUsable' | 'caCertPem'
  >;
  /** A directory for each node, as `writeNodeCredentials` makes it. */
  readonly nodesDirectory: string;
  /** Writes the administrator's kubeconfig anew. */
  readonly writeAdmin: () => Promise<void>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** How often their ages are looked at: what is renewed has thirty days left. */
const lookMs = 6 * 60 * 60 * 1000;

/** Looks every six hours until disposed. What cannot be renewed is logged, and tried again. */
export function keepCertificates(keeping: CertificateKeeping): Disposable {
  const { clock, logger } = keeping;
  let isOpen = true;
  let timer = clock.after(lookMs, look);
  function look(): void {
    void renewOnce(keeping)
      .catch((error: unknown) => logger.warn({ error: describeError(error) }, 'certificates not renewed'))
      .then(() => {
        if (isOpen) timer = clock.after(lookMs, look);
      });
  }
  return {
    [Symbol.dispose]: () => {
      isOpen = false;
      timer[Symbol.dispose]();
    },
  };
}

/** @returns what was made anew: names as in `pki/`, and `nodes/NAME` */
export async function renewOnce(keeping: CertificateKeeping): Promise<readonly string[]> {
  const { server, nodesDirectory, writeAdmin, logger } = keeping;
  const renewed = [...(await server.renewCertificates())];
  if (renewed.includes('admin') || renewed.includes('ca')) await writeAdmin();
  for (const name of await namesIn(nodesDirectory)) {
    const directory = join(nodesDirectory, name);
    const held = readHeld(directory, keeping);
    if (held === undefined || !isDue(held, server)) continue;
    await writeNodeCredentials(server, directory, { name, hosts: held.hosts, serverUrl: held.serverUrl });
    renewed.push(`nodes/${name}`);
  }
  if (renewed.length > 0) logger.info({ renewed }, 'certificates renewed');
  return renewed;
}

interface Held {
  readonly hosts: readonly string[];
  readonly serverUrl: string;
  readonly serving: { readonly certPem: string; readonly keyPem: string };
  readonly client: { readonly certPem: string; readonly keyPem: string };
  readonly caCertPem: string;
}

/** What a node was given; undefined where that is not whole, so that nobody knows what to renew. */
function readHeld(directory: string, { clock, logger }: CertificateKeeping): Held | undefined {
  const read = (name: string): string => readFileSync(join(directory, name), 'utf8');
  try {
    const access = loadKubeconfig(join(directory, 'kubeconfig'), clock);
    const serving = { certPem: read('serving.crt'), keyPem: read('serving.key') };
    return {
      hosts: hostsOf(new X509Certificate(serving.certPem)),
      serverUrl: access.server,
      serving,
      client: { certPem: access.clientCertPem ?? '', keyPem: access.clientKeyPem ?? '' },
      caCertPem: read('ca.crt'),
    };
  } catch (error) {
    logger.warn({ directory, error: describeError(error) }, 'credentials of a node not renewed');
    return undefined;
  }
}

function isDue(held: Held, server: CertificateKeeping['server']): boolean {
  return (
    held.caCertPem !== server.caCertPem ||
    !server.isNodeServingUsable(held.serving, held.hosts) ||
    !server.isNodeServingUsable(held.client, [])
  );
}

/** DNS names and addresses, of subjectAltName as Node writes it: `DNS:n1, IP Address:192.0.2.11`. */
export function hostsOf(certificate: X509Certificate): readonly string[] {
  return (certificate.subjectAltName ?? '')
    .split(', ')
    .flatMap((entry) => /^(?:DNS|IP Address):(.+)$/.exec(entry)?.[1] ?? []);
}

/** What `podwright agent --credentials` reads. */
export async function writeNodeCredentials(
  server: Pick<ApiServer, 'issueNodeCredentials'>,
  directory: string,
  node: { readonly name: string; readonly hosts: readonly string[]; readonly serverUrl: string },
): Promise<void> {
  const { name, hosts, serverUrl } = node;
  const credentials = await server.issueNodeCredentials(name, { serverUrl, hosts });
  await writePrivate(join(directory, 'kubeconfig'), credentials.kubeconfig);
  await writePrivate(join(directory, proxyKubeconfigName), credentials.proxyKubeconfig);
  await writePrivate(join(directory, 'serving.crt'), credentials.serving.certPem);
  await writePrivate(join(directory, 'serving.key'), credentials.serving.keyPem);
  await writePrivate(join(directory, 'ca.crt'), credentials.caCertPem);
}

export async function writePrivate(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await writeDurably(path, text);
}
