/** The store as another program than ours reads it: etcdctl, which Debian has as etcd-client. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';

import { at, numberOf, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { run } from '#test/cluster/cluster.ts';
import { keyOf, namespace, type Dump, type Written } from './history.ts';

export const program = '/usr/bin/etcdctl';

/** Why there is no campaign; '' where it is installed. */
export const noEtcdctl: string = existsSync(program) ? '' : 'etcdctl is not installed (Debian: etcd-client)';

/** etcdctl, with what it needs to reach the store. */
export type EtcdctlCommand = readonly string[];

const environment = { ETCDCTL_API: '3' };

/** All keys of Kubernetes. Values that are no JSON are left out: addresses of servers. */
export async function readStore(etcdctl: EtcdctlCommand): Promise<Dump> {
  const command = [...etcdctl, 'get', '/registry', '--prefix', '-w', 'json'];
  const { code, stdout, stderr } = await run(command, { environment });
  if (code !== 0) throw new Error(`etcdctl get: ${stderr}`);
  return new Map(
    objectsOf(at(JSON.parse(stdout), 'kvs')).flatMap((found) => {
      const value = valueOf(found);
      const revision = numberOf(found['mod_revision']);
      return value === undefined ? [] : [[textOf(found['key']), { revision, value }] as const];
    }),
  );
}

export interface StoreWatcher extends AsyncDisposable {
  /** Under the campaign's resources, in the order in which it was told. */
  readonly written: readonly Written[];
  /** The newest revision that was told, of any key. */
  revision(): number;
}

/** Follows the store by etcdctl's own watch, from its first revision on. */
export function watchStore(etcdctl: EtcdctlCommand): StoreWatcher {
  const [first = program, ...args] = etcdctl;
  const child = spawn(first, [...args, 'watch', '/registry', '--prefix', '--rev=1', '-w', 'json'], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { ...process.env, ...environment },
  });
  const written: Written[] = [];
  let revision = 0;
  createInterface({ input: child.stdout }).on('line', (line) => {
    for (const event of objectsOf(at(JSON.parse(line), 'Events'))) {
      const found = objectOf(event['kv']);
      revision = numberOf(found['mod_revision']);
      const key = campaignKey(textOf(found['key']));
      const isDeleted = event['type'] === 1;
      if (key !== undefined) written.push({ revision, key, value: isDeleted ? undefined : valueOf(found) });
    }
  });
  return {
    written,
    revision: () => revision,
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode !== null) return;
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

/** `/registry/services/specs/campaign/a` is `services/a`; undefined for what the campaign does not write. */
function campaignKey(stored: string): string | undefined {
  const match = /^\/registry\/(configmaps|services)\/(?:specs\/)?([^/]+)\/([^/]+)$/.exec(stored);
  return match?.[2] === namespace && match[1] !== undefined ? keyOf(match[1], match[3] ?? '') : undefined;
}

function textOf(base64: unknown): string {
  return Buffer.from(stringOf(base64), 'base64').toString();
}

function valueOf(found: JsonObject): JsonObject | undefined {
  const text = textOf(found['value']);
  if (!text.startsWith('{')) return undefined;
  return objectOf(JSON.parse(text));
}
