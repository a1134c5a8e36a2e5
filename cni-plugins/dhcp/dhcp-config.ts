/** The plugin's configuration, as the CNI project documents it: which options a server is asked for, and told. Pure. */
import { cniError, cniErrorCode } from '#api/cni/cni-error.ts';
import { field } from '#api/cni/json-field.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { NetworkCall, PluginCall } from '#cni-plugins/skel/plugin.ts';
import type { LeaseRequest } from './holding.ts';
import { dhcpOption } from './message.ts';

/** Where a daemon of ours listens that no configuration names. */
export const defaultDaemonSocket = '/run/podwright-cni/dhcp.sock';

/** Names of options that configurations may use; all others by number. */
const names: Readonly<Record<string, number>> = {
  'subnet-mask': dhcpOption.subnetMask,
  routers: dhcpOption.routers,
  'host-name': dhcpOption.hostName,
  'user-class': dhcpOption.userClass,
  'vendor-class-identifier': dhcpOption.vendorClass,
  'dhcp-client-identifier': dhcpOption.clientIdentifier,
};

const parametersOfDefault: readonly number[] = [
  dhcpOption.subnetMask,
  dhcpOption.routers,
  dhcpOption.nameServers,
  dhcpOption.domainName,
  dhcpOption.staticRoutes,
  dhcpOption.renewSeconds,
  dhcpOption.rebindSeconds,
  dhcpOption.classlessRoutes,
];

/** Those that the protocol itself says. */
const own: ReadonlySet<number> = new Set([
  0,
  dhcpOption.requestedAddress,
  dhcpOption.leaseSeconds,
  dhcpOption.overload,
  dhcpOption.messageType,
  dhcpOption.serverIdentifier,
  dhcpOption.parameterList,
  255,
]);
/** RFC 2132: an option's length is one byte. */
const valueBytesMax = 255;

/** @throws {E_INVALID, E_UNSUPPORTED} */
export function parseDhcpConfig(call: PluginCall): LeaseRequest {
  const ipam = ipamOf(call);
  const network = field.string(call.config, 'name') ?? '';
  const provided = field.objects(ipam, 'provide').flatMap((item) => parseProvided(item, call.args));
  const clientId = provided.find(([code]) => code === dhcpOption.clientIdentifier)?.[1];
  return {
    network,
    containerId: call.containerId,
    ifname: call.ifname,
    netns: call.netns,
    ...parseRoutesOf(ipam),
    clientId: clientId ?? `${call.containerId}/${network}/${call.ifname}`,
    parameters: parseRequested(field.objects(ipam, 'request')),
    options: provided
      .filter(([code]) => code !== dhcpOption.clientIdentifier)
      .map(([code, value]) => [code, Buffer.from(value).toString('base64')] as const),
  };
}

/** Undefined: the one that this process has, or the default one. */
export function daemonSocketOf(call: NetworkCall): string | undefined {
  const path = field.string(ipamOf(call), 'daemonSocketPath');
  if (path === undefined || path === '') return undefined;
  if (path.startsWith('/')) return path;
  throw invalid(`daemonSocketPath ${JSON.stringify(path)} is not an absolute path`);
}

function ipamOf({ config }: NetworkCall): JsonObject {
  return field.object(config, 'ipam') ?? {};
}

/** `priority` of the routes, 0 for the kernel's own; `suppress`: `["gateway"]`. */
function parseRoutesOf(ipam: JsonObject): Pick<LeaseRequest, 'priority' | 'hasNoGateway'> {
  const priority = field.number(ipam, 'priority') ?? 0;
  if (!Number.isInteger(priority) || priority < 0 || priority >= 2 ** 32)
    throw invalid(`priority ${priority} is not from 0 to ${2 ** 32 - 1}`);
  const unknown = field.strings(ipam, 'suppress').find((item) => item !== 'gateway');
  if (unknown !== undefined) throw invalid(`suppress ${JSON.stringify(unknown)} is not "gateway"`);
  return {
    ...(priority === 0 ? {} : { priority }),
    ...(field.strings(ipam, 'suppress').length === 0 ? {} : { hasNoGateway: true }),
  };
}

function parseRequested(items: readonly JsonObject[]): readonly number[] {
  const skipsDefault = items.some((item) => field.boolean(item, 'skipDefault') === true);
  const asked = items.flatMap((item) => (item['option'] === undefined ? [] : [codeOf(item['option'])]));
  return [...new Set([...(skipsDefault ? [] : parametersOfDefault), ...asked])];
}

function parseProvided(
  item: JsonObject,
  args: Readonly<Record<string, string>>,
): readonly (readonly [code: number, value: string])[] {
  const code = codeOf(item['option']);
  const fromArg = field.string(item, 'fromArg') ?? '';
  const value = (fromArg === '' ? undefined : args[fromArg]) ?? field.string(item, 'value');
  if (value === undefined || value === '') return []; // An argument that this call has not.
  if (Buffer.byteLength(value) > valueBytesMax)
    throw invalid(`option ${code} has more than ${valueBytesMax} bytes`);
  return [[code, value]];
}

function codeOf(option: unknown): number {
  const text = typeof option === 'number' ? String(option) : option;
  if (typeof text !== 'string') throw invalid('option is missing: a name or a number');
  const code = names[text] ?? (/^\d{1,3}$/.test(text) ? Number(text) : undefined);
  if (code === undefined || code > 255)
    throw invalid(`option ${JSON.stringify(text)} is none of ${Object.keys(names).join(', ')}, nor a number`);
  if (own.has(code)) throw invalid(`option ${code} is what the protocol itself says`);
  return code;
}

function invalid(message: string): Error {
  return cniError(cniErrorCode.invalidNetworkConfig, `dhcp: ${message}`);
}
