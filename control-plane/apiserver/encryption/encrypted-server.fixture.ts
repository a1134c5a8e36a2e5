import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ApiServerOptions } from '#control-plane/apiserver/server.ts';
import { startTestServer, type TestServer } from '#control-plane/apiserver/test-server.fixture.ts';
import { connectRaw } from '#control-plane/store/etcd-server/raw-client.fixture.ts';

/** A data directory for servers one after the other, each with a configuration. */
export interface Place extends Disposable {
  readonly directory: string;
  /** Starts a server whose `resources` are these, as JSON; without: nothing is encrypted. */
  start(resources?: readonly object[], more?: Partial<ApiServerOptions>): Promise<TestServer>;
  /** Writes the configuration, for a server that runs. */
  configure(resources: readonly object[]): string;
  /** What the store has for a key, as `etcdctl get` on the server's socket shows it. */
  stored(key: string): Promise<Buffer>;
  /** Writes a value beneath, as `etcdctl put` does. */
  put(key: string, value: string): Promise<void>;
  /** Names of the store's files in which the text is. */
  filesWith(text: string): readonly string[];
}

export function encryptedPlace(): Place {
  const directory = mkdtempSync(join(tmpdir(), 'podwright-encrypted-'));
  const path = join(directory, 'encryption.json');
  const socket = join(directory, 'etcd.sock');
  const configure = (resources: readonly object[]): string => {
    const type = { apiVersion: 'apiserver.config.k8s.io/v1', kind: 'EncryptionConfiguration' };
    writeFileSync(path, JSON.stringify({ ...type, resources }));
    return path;
  };
  return {
    directory,
    configure,
    start: (resources, more = {}) =>
      startTestServer({
        dataDir: directory,
        ...(more.etcd === undefined ? { etcdListen: { listeners: [{ path: socket }] } } : {}),
        ...(resources === undefined ? {} : { encryption: { path: configure(resources), isReloaded: false } }),
        ...more,
      }),
    stored: async (key) => {
      using client = await connectRaw(`unix:${socket}`);

      const { Range } = client.services['etcdserverpb.KV'];
      const { kvs } = await client.ask(Range, { key: Buffer.from(key) });
      return Buffer.from(kvs[0]?.value ?? []);
    },
    put: async (key, value) => {
      using client = await connectRaw(`unix:${socket}`);

      const { Put } = client.services['etcdserverpb.KV'];
      await client.ask(Put, { key: Buffer.from(key), value: Buffer.from(value) });
    },
    filesWith: (text) =>
      readdirSync(join(directory, 'store')).filter((name) => {
        const file = join(directory, 'store', name);
        return statSync(file).isFile() && readFileSync(file).includes(text);
      }),
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  };
}

const secretOf = (sign: string, bytes: number): string => Buffer.alloc(bytes, sign).toString('base64');

/** A provider with keys of these names, each of 32 times its first letter. */
export function withKeys(kind: 'aescbc' | 'aesgcm' | 'secretbox', ...names: string[]): object {
  return { [kind]: { keys: names.map((name) => ({ name, secret: secretOf(name, 32) })) } };
}

export const identity: object = { identity: {} };
