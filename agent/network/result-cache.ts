import { existsSync, mkdirSync, unlinkSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDraft, removeDrafts, writeDurablySync } from '#base/durable-file.ts';
import { errnoOf } from '#base/errors.ts';
import { namesIn } from '#base/names-in.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { field, parseJsonObject } from '#api/cni/json-field.ts';
import { parseNetworkConfigList, type NetworkConfigList } from '#api/cni/network-config.ts';
import { parseResult, renderResult, type CniResult } from '#api/cni/result.ts';

/** What an attachment was made with: DEL needs the same, whatever the configuration says by then. */
export interface CachedAttachment {
  readonly list: NetworkConfigList;
  readonly containerId: string;
  readonly ifname: string;
  readonly netns: string;
  readonly args: Readonly<Record<string, string>>;
  readonly capabilityArgs: JsonObject;
  readonly result: CniResult;
}

/**
 * Attachments as files, one each, in libcni's format (`cniCacheV1`): cnitool and other runtimes can read them, and the next agent
 * does, once. What an ADD asks is synchronous: the agent keeps them on a tmpfs, where a file costs less than one trip through
 * libuv's pool.
 */
export interface ResultCache {
  save(attachment: CachedAttachment, configText: string): Promise<void>;
  load(network: string, containerId: string, ifname: string): Promise<CachedAttachment | undefined>;
  remove(network: string, containerId: string, ifname: string): Promise<void>;
  /** Of one container, or of all. */
  list(containerId?: string): Promise<readonly CachedAttachment[]>;
}

const kind = 'cniCacheV1';

export function createResultCache(cacheDir: string): ResultCache {
  const dir = join(cacheDir, 'results');
  if (existsSync(dir)) removeDrafts(dir);
  const pathOf = (network: string, containerId: string, ifname: string): string =>
    join(dir, `${network}-${containerId}-${ifname}`);
  /** By container and file: what was written, and once all was read, all. Nobody else writes here. */
  const known = new Map<string, Map<string, CachedAttachment>>();
  let isComplete = false;
  const note = (path: string, attachment: CachedAttachment): void => {
    const own = known.get(attachment.containerId) ?? new Map<string, CachedAttachment>();
    known.set(attachment.containerId, own.set(path, attachment));
  };
  const readAll = async (): Promise<void> => {
    for (const name of await namesIn(dir)) {
      const path = join(dir, name);
      const attachment = isDraft(name) ? undefined : await read(path);
      // What was written or removed meanwhile is known better.
      if (attachment === undefined || known.get(attachment.containerId)?.has(path)) continue;
      if (existsSync(path)) note(path, attachment);
    }
    isComplete = true;
  };
  return {
    async save(attachment, configText) {
      const path = pathOf(attachment.list.name, attachment.containerId, attachment.ifname);
      mkdirSync(dir, { recursive: true, mode: 0o700 });
      writeDurablySync(path, render(attachment, configText), { survives: 'kill' });
      note(path, attachment);
    },
    load: async (network, containerId, ifname) => {
      const path = pathOf(network, containerId, ifname);
      const own = known.get(containerId)?.get(path);
      if (own !== undefined || isComplete) return own;
      return existsSync(path) ? read(path) : undefined;
    },
    async remove(network, containerId, ifname) {
      const path = pathOf(network, containerId, ifname);
      if (existsSync(path)) unlinkSync(path);
      const own = known.get(containerId);
      own?.delete(path);
      if (own?.size === 0) known.delete(containerId);
    },
    async list(containerId) {
      if (!isComplete) await readAll();
      const wanted = containerId === undefined ? [...known.values()] : [known.get(containerId)];
      return wanted.flatMap((own) => [...(own?.values() ?? [])]);
    },
  };
}

function render(attachment: CachedAttachment, configText: string): string {
  const { list, args, capabilityArgs } = attachment;
  return JSON.stringify({
    kind,
    containerId: attachment.containerId,
    config: Buffer.from(configText).toString('base64'),
    ifName: attachment.ifname,
    networkName: list.name,
    netns: attachment.netns,
    cniArgs: Object.entries(args),
    capabilityArgs,
    result: renderResult(attachment.result, list.cniVersion),
  });
}

/** Undefined if the file is missing or of another kind; an unreadable one must not keep a pod from going. */
async function read(path: string): Promise<CachedAttachment | undefined> {
  try {
    const document = parseJsonObject(await readFile(path, 'utf8'), path);
    if (document['kind'] !== kind) return undefined;
    const config = Buffer.from(field.string(document, 'config') ?? '', 'base64').toString('utf8');
    return {
      list: parseNetworkConfigList(config),
      containerId: field.string(document, 'containerId') ?? '',
      ifname: field.string(document, 'ifName') ?? '',
      netns: field.string(document, 'netns') ?? '',
      args: Object.fromEntries(field.array(document, 'cniArgs').flatMap(toPair)),
      capabilityArgs: field.object(document, 'capabilityArgs') ?? {},
      result: parseResult(field.object(document, 'result') ?? {}),
    };
  } catch (error) {
    const code = errnoOf(error);
    if (code === 'ENOENT' || code === undefined) return undefined;
    throw error;
  }
}

function toPair(item: unknown): readonly (readonly [string, string])[] {
  return Array.isArray(item) ? [[String(item[0]), String(item[1])]] : [];
}
