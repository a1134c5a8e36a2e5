/** What the configurations of all main plugins have in common. Pure. */
import { cniError, cniErrorCode } from '#api/cni/cni-error.ts';
import { field } from '#api/cni/json-field.ts';
import type { PluginConfig } from '#api/cni/network-config.ts';
import { parseDns, type CniDns } from '#api/cni/result.ts';
import type { NetworkState } from '#native/netlink/netlink.ts';

export interface LinkConfig {
  readonly network: string;
  /** The IPAM plugin; undefined: the container gets a link and no address. */
  readonly ipam: string | undefined;
  readonly mtu: number | undefined;
  /** Asked for by the capability `mac`, by `args.cni.mac`, by CNI_ARGS (`MAC=`) or by the configuration. */
  readonly mac: string | undefined;
  /** Of the capability or of the configuration; else the IPAM plugin's. */
  readonly dns: CniDns | undefined;
}

/** @throws {E_INVALID, E_UNSUPPORTED} */
export function parseLinkConfig(
  config: PluginConfig,
  args: Readonly<Record<string, string>> = {},
): LinkConfig {
  const runtime = field.object(config, 'runtimeConfig') ?? {};
  const cniArgs = field.object(field.object(config, 'args') ?? {}, 'cni') ?? {};
  refuseCapabilities(config.type, runtime);
  const ipam = field.string(field.object(config, 'ipam') ?? {}, 'type');
  const dns = parseDns(field.object(runtime, 'dns') ?? field.object(config, 'dns') ?? {});
  return {
    network: field.string(config, 'name') ?? '',
    ipam: ipam === '' ? undefined : ipam,
    mtu: parseMtu(config),
    mac: parseMac(
      field.string(runtime, 'mac') ||
        field.string(cniArgs, 'mac') ||
        args['MAC'] ||
        field.string(config, 'mac'),
    ),
    dns: Object.keys(dns).length === 0 ? undefined : dns,
  };
}

/** 0 is the kernel's own. */
function parseMtu(config: PluginConfig): number | undefined {
  const mtu = field.number(config, 'mtu') ?? 0;
  if (Number.isInteger(mtu) && mtu >= 0 && mtu <= 65_535) return mtu === 0 ? undefined : mtu;
  throw cniError(cniErrorCode.invalidNetworkConfig, `${config.type}: mtu ${mtu} is not from 0 to 65535`);
}

function parseMac(text: string | undefined): string | undefined {
  if (text === undefined || text === '') return undefined;
  if (/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text)) return text.toLowerCase();
  throw cniError(cniErrorCode.invalidNetworkConfig, `hardware address ${JSON.stringify(text)} is not one`);
}

/** `ipMasq`, and `ipMasqBackend`: rules are in nftables. @throws {E_UNSUPPORTED} */
export function parseIpMasq(config: PluginConfig): boolean {
  const backend = field.string(config, 'ipMasqBackend') || 'nftables';
  if (backend === 'nftables') return field.boolean(config, 'ipMasq') ?? false;
  throw cniError(cniErrorCode.unsupportedField, `${config.type}: ipMasqBackend ${backend} is not supported`);
}

/** What a runtime may ask for and no plugin of ours can give. */
function refuseCapabilities(type: string, runtime: Readonly<Record<string, unknown>>): void {
  if (runtime['infinibandGUID'] === undefined) return;
  throw cniError(cniErrorCode.unsupportedField, `${type}: infinibandGUID is not supported`);
}

/** Fields that change behaviour and that we do not have: refused rather than passed over. @throws {E_UNSUPPORTED} */
export function refuseFields(config: PluginConfig, names: readonly string[]): void {
  const refused = names.find((name) => (config[name] ?? false) !== false && config[name] !== 0);
  if (refused === undefined) return;
  throw cniError(cniErrorCode.unsupportedField, `${config.type}: ${refused} is not supported`);
}

/** The link that another is made of: the one named, else that of the default route. @throws {E_INVALID} */
export function masterOf(
  type: string,
  named: string | undefined,
  host: NetworkState,
): NetworkState['links'][number] {
  const byName = (name: string) => host.links.find((link) => link.name === name);
  if (named !== undefined && named !== '') {
    const link = byName(named);
    if (link !== undefined) return link;
    throw cniError(cniErrorCode.invalidNetworkConfig, `${type}: master ${named} is not there`);
  }
  const route = host.routes.find(
    ({ destination, linkIndex }) => destination === 'default' && linkIndex !== undefined,
  );
  const link = host.links.find(({ index }) => index === route?.linkIndex);
  if (link !== undefined) return link;
  throw cniError(
    cniErrorCode.invalidNetworkConfig,
    `${type}: master is missing, and there is no default route to take its link from`,
  );
}

/** @throws {E_INVALID} for more than the link below carries */
export function checkMtu(
  type: string,
  mtu: number | undefined,
  master: { readonly name: string; readonly mtu: number },
): void {
  if (mtu === undefined || mtu <= master.mtu) return;
  throw cniError(
    cniErrorCode.invalidNetworkConfig,
    `${type}: mtu ${mtu} is more than the ${master.mtu} of ${master.name}`,
  );
}
