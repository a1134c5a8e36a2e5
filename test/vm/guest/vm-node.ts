/** A control plane and a node as units of systemd, in the machine that this runs in. */
import { mkdirSync } from 'node:fs';
import { nodes, pods } from '#api/schema/kind-ref.ts';
import type { Container, Pod } from '#api/generated/objects.ts';
import type { ApiClient } from '#client/client.ts';
import { eventually, run } from './checks.ts';

export const address = '192.0.2.10'; // TEST-NET-1 (RFC 5737), on a dummy link
export const data = '/var/lib/podwright';
export const nodeName = 'vm';
export const mebibyte = 1_048_576;

export const podwright = (...args: readonly string[]): Promise<string> =>
  run(process.execPath, '--disable-warning=ExperimentalWarning', 'bin/podwright.ts', ...args);

/** overlayfs takes no upper directory that is itself on an overlay, as this machine's root is. */
export async function prepareHost(): Promise<void> {
  mkdirSync(data, { recursive: true });
  await run('mount', '-t', 'tmpfs', 'data', data);
  await run('ip', 'link', 'add', 'eth0', 'type', 'dummy');
  await run('ip', 'address', 'add', `${address}/24`, 'dev', 'eth0');
  await run('ip', 'link', 'set', 'eth0', 'up');
}

export async function installServer(): Promise<void> {
  await podwright(
    ...['install', 'server', '--data', `${data}/server`, '--listen', `${address}:6443`],
    ...['--advertise-address', address, '--node', `${nodeName}=${address}`],
  );
}

/** `more`: options of the agent. */
export async function installAgent(...more: readonly string[]): Promise<void> {
  await podwright(
    ...['install', 'agent', '--data', `${data}/agent`, '--node-name', nodeName, '--node-ip', address],
    ...['--credentials', `${data}/server/nodes/${nodeName}`],
    ...more,
  );
}

export function podOf(name: string, script: string, limits: Readonly<Record<string, string>>): Pod {
  const container: Container = {
    name: 'main',
    image: 'podwright/demo:1',
    imagePullPolicy: 'IfNotPresent',
    command: ['sh', '-c', script],
    resources: { limits },
  };
  return {
    metadata: { name },
    spec: { containers: [container], restartPolicy: 'Never', terminationGracePeriodSeconds: 1 },
  };
}

/** The pod's uid once its container runs. */
export async function waitForRunning(client: ApiClient, name: string): Promise<string> {
  return eventually(`pod ${name} Running`, async () => {
    const pod = await client.get(pods, { namespace: 'default', name });
    if (pod.status?.phase === 'Failed') throw new Error(`it failed: ${JSON.stringify(pod.status)}`);
    return pod.status?.phase === 'Running' ? pod.metadata?.uid : undefined;
  });
}

export async function nodeIsReady(client: ApiClient, name: string = nodeName): Promise<true | undefined> {
  const { status } = await client.get(nodes, { name });
  return status?.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True')
    ? true
    : undefined;
}
