/** When the node did what for a pod, read from the traces that it leaves anyway: its documents' times and the container's log. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

import type { TestCluster } from '#test/cluster/cluster.ts';

/** Milliseconds since the epoch; the file system's clock may be a few behind. */
export interface NodeTimes {
  /** The runtime began with the sandbox. */
  readonly sandboxBegunMs: number;
  /** Namespaces, network and supervisor stand. */
  readonly sandboxReadyMs: number;
  /** The container's first line of output. */
  readonly outputMs: number;
}

export async function readNodeTimes(
  cluster: TestCluster,
  pod: { readonly uid: string; readonly name: string },
): Promise<NodeTimes> {
  const { hosts, runDir } = await cluster.state();
  const host = hosts.find(({ name }) => name === 'node-1');
  if (host === undefined) throw new Error('the cluster has no node-1');
  // The directory is a tmpfs in the mount namespace of the host.
  const directory = join(`/proc/${host.pid}/root`, runDir, 'pods', pod.uid);
  const log = join(host.dataDir, 'logs/pods', `default_${pod.name}_${pod.uid}`, 'main/0.log');
  const [begun, ready, text] = await Promise.all([
    stat(directory),
    stat(join(directory, 'sandbox.json')),
    readFile(log, 'utf8'),
  ]);
  return {
    sandboxBegunMs: begun.birthtimeMs,
    sandboxReadyMs: ready.mtimeMs,
    outputMs: Date.parse(text.split(' ')[0] ?? ''),
  };
}
