import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeDurablySync } from '#base/durable-file.ts';
import { errnoOf } from '#base/errors.ts';
import { cniError, cniErrorCode } from '#api/cni/cni-error.ts';
import type { CniCommand } from '#api/cni/invocation.ts';
import { field, parseJsonObject } from '#api/cni/json-field.ts';
import type { PluginConfig } from '#api/cni/network-config.ts';
import { emptyResult, parseResult } from '#api/cni/result.ts';
import type { CniPlugin, NetworkCall, PluginCall, PluginHost } from '#cni-plugins/skel/plugin.ts';
import { parseSubnetEnv, planDelegate } from './plan.ts';

/** Where flannel writes what a node has, and where its own plugin keeps what it made of that for a container. */
const subnetFileDefault = '/run/flannel/subnet.env';
const dataDirDefault = '/var/lib/cni/flannel';

/** Calls another plugin, bridge as a rule, with the subnet that flannel gave this node. DEL undoes what ADD had made, whatever the file says by then. */
export const flannel: CniPlugin = {
  name: 'flannel',
  async add(call, host, signal) {
    const config = delegateOf(call);
    mkdirSync(dataDirOf(call), { recursive: true, mode: 0o700 });
    writeDurablySync(recordOf(call), JSON.stringify(config));
    const document = await callDelegate('ADD', { ...call, config }, host, signal);
    return document === undefined ? emptyResult : parseResult(document);
  },
  async del(call, host, signal) {
    const config = readRecord(call);
    if (config === undefined) return;
    await callDelegate('DEL', { ...call, config: withPrevious(config, call) }, host, signal);
    rmSync(recordOf(call), { force: true });
  },
  async check(call, host, signal) {
    const config = readRecord(call);
    if (config === undefined) {
      throw cniError(
        cniErrorCode.unknownContainer,
        `flannel CHECK: nothing was made for ${call.containerId} ${call.ifname}`,
      );
    }
    await callDelegate('CHECK', { ...call, config: withPrevious(config, call) }, host, signal);
  },
  async gc(call, valid, host, signal) {
    const config = {
      ...delegateOf(call),
      'cni.dev/valid-attachments': valid,
      'cni.dev/attachments': valid,
    };
    await callDelegate('GC', toAttachment({ ...call, config }), host, signal);
  },
  async status(call, host, signal) {
    try {
      await callDelegate('STATUS', toAttachment({ ...call, config: delegateOf(call) }), host, signal);
    } catch (cause) {
      throw cniError(cniErrorCode.pluginNotAvailable, 'flannel: flanneld has not given this node a subnet', {
        cause,
      });
    }
  },
};

type Attachment = Pick<PluginCall, 'containerId' | 'netns' | 'ifname' | 'args' | 'path' | 'config'>;

const toAttachment = (call: NetworkCall): Attachment => ({
  ...call,
  containerId: '',
  netns: '',
  ifname: '',
  args: {},
});

async function callDelegate(
  command: CniCommand,
  call: Attachment,
  host: PluginHost,
  signal: AbortSignal,
): Promise<Awaited<ReturnType<PluginHost['invoke']>>> {
  const { containerId, netns, ifname, args, path, config } = call;
  return host.invoke(config.type, { command, containerId, netns, ifname, args, path, config }, signal);
}

/** @throws code 7, or 11 while flannel has not written the file */
function delegateOf({ config }: NetworkCall): PluginConfig {
  const path = field.string(config, 'subnetFile') ?? subnetFileDefault;
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw cniError(
      cniErrorCode.tryAgainLater,
      `flannel: read ${path}: ${errnoOf(cause) ?? 'unreadable'}; is flanneld running?`,
      { cause },
    );
  }
  return planDelegate(config, parseSubnetEnv(text, path));
}

const dataDirOf = ({ config }: NetworkCall): string => field.string(config, 'dataDir') ?? dataDirDefault;

/** By container and interface: the CNI project's names it by the container alone, and loses one of two. */
const recordOf = (call: Attachment): string => join(dataDirOf(call), `${call.containerId}-${call.ifname}`);

function readRecord(call: Attachment): PluginConfig | undefined {
  try {
    const record = parseJsonObject(readFileSync(recordOf(call), 'utf8'), recordOf(call));
    return { ...record, type: field.string(record, 'type') ?? 'bridge' };
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function withPrevious(config: PluginConfig, call: PluginCall): PluginConfig {
  const previous = call.config['prevResult'];
  return previous === undefined ? config : { ...config, prevResult: previous };
}
