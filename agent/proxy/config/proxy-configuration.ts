/** KubeProxyConfiguration as upstream's kube-proxy reads it (--config). */
import { readConfigFile, type DocumentKind } from '#api/config/config-document.ts';
import { fieldsWithoutEffect } from '#api/config/field-effects.ts';
import { parseDurationMs } from '#api/meta/duration.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, equalJson, listOf, stringOf } from '#api/wire/json.ts';
import { PodwrightError } from '#base/errors.ts';
import { familyOfIp, familyOfNetwork } from '#base/ip.ts';
import type { ProxyMode } from '#agent/proxy/service-rules.ts';
import { fixedMembers, proxyFields } from './proxy-fields.ts';

/** Where one of the proxy's ports is; undefined: it is not opened. */
export interface BindAddress {
  readonly host: string;
  readonly port: number;
}

export interface ProxySettings {
  /** Undefined: as the option says. */
  readonly mode: ProxyMode | undefined;
  /** Undefined: as the option says. */
  readonly clusterCidr: readonly string[] | undefined;
  /** /healthz and /livez, for load balancers of clouds. Host '': all addresses. */
  readonly health: BindAddress | undefined;
  /** /metrics, /proxyMode, /configz and the like. */
  readonly metrics: BindAddress | undefined;
  /** Node ports answer at 127.0.0.1 too; in mode iptables alone, as there. */
  readonly hasLocalhostNodePorts: boolean;
  /** Of the mode that `mode` names (iptables or nftables; either where it is not said): all leaves with the node's address. */
  readonly masqueradesAll: boolean;
  /** Networks of node ports; `primary`: the node's own addresses. Empty: all. */
  readonly nodePortAddresses: readonly string[];
  /** Keys below net.netfilter, and what they are set to. */
  readonly sysctls: Readonly<Record<string, string>>;
}

const documentKind: DocumentKind = {
  kind: 'KubeProxyConfiguration',
  apiVersions: ['kubeproxy.config.k8s.io/v1alpha1'],
  fields: Object.fromEntries(Object.entries(proxyFields).map(([name, { shape }]) => [name, shape])),
};

export interface ReadProxyConfiguration {
  readonly settings: ProxySettings;
  readonly configuration: JsonObject;
  /** What of it has no effect. */
  readonly notices: readonly string[];
}

/** Without a file, what is so by default. @throws {E_INVALID} with the path and all that is wrong */
export function readProxyConfiguration(path: string | undefined): ReadProxyConfiguration {
  const read = (configuration: JsonObject): ReadProxyConfiguration => ({
    configuration,
    settings: readProxySettings(configuration),
    notices: proxyWithoutEffect(configuration),
  });
  return path === undefined ? read({}) : readConfigFile(path, documentKind, read);
}

/** Pure. @throws {E_INVALID} */
export function readProxySettings(configuration: JsonObject): ProxySettings {
  const text = (name: string): string => {
    const value = at(configuration, name);
    return typeof value === 'string' ? value : '';
  };
  return {
    mode: modeOf(text('mode')),
    clusterCidr: clusterCidrOf(text('clusterCIDR')),
    health: bindOf('healthzBindAddress', text('healthzBindAddress'), { host: '', port: 10_256 }),
    metrics: bindOf('metricsBindAddress', text('metricsBindAddress'), { host: '127.0.0.1', port: 10_249 }),
    hasLocalhostNodePorts: at(configuration, 'iptables.localhostNodePorts') !== false,
    masqueradesAll: ['iptables', 'nftables'].some(
      (mode) => at(configuration, `${mode}.masqueradeAll`) === true && [mode, ''].includes(text('mode')),
    ),
    nodePortAddresses: nodePortAddressesOf(configuration),
    sysctls: sysctlsOf(configuration),
  };
}

/** Each with its field, what it says and why. Pure. */
export function proxyWithoutEffect(configuration: JsonObject): readonly string[] {
  const members = fixedMembers.flatMap(([path, values, why]) => {
    const value = at(configuration, path);
    if (value === undefined || value === null || values.some((same) => equalJson(same, value))) return [];
    return [`${path}: ${JSON.stringify(value)} has no effect: ${why}`];
  });
  return [...fieldsWithoutEffect(configuration, proxyFields), ...members];
}

const invalid = (message: string): PodwrightError => new PodwrightError('E_INVALID', message);

function modeOf(text: string): ProxyMode | undefined {
  switch (text) {
    case '':
      return undefined;
    case 'nftables':
    case 'iptables':
    case 'userspace':
      return text;
    default:
      throw invalid(`mode: there is no ${JSON.stringify(text)}; take nftables or iptables`);
  }
}

function clusterCidrOf(text: string): readonly string[] | undefined {
  if (text === '') return undefined;
  const cidrs = text.split(',');
  const broken = cidrs.find((cidr) => familyOfNetwork(cidr) === undefined);
  if (broken !== undefined) throw invalid(`clusterCIDR: ${JSON.stringify(broken)} is not a network`);
  return cidrs;
}

/** As upstream validates them: networks, or `primary` alone. */
function nodePortAddressesOf(configuration: JsonObject): readonly string[] {
  const all = listOf(at(configuration, 'nodePortAddresses')).map(stringOf);
  const [only] = all;
  if (only === 'primary' && all.length === 1) return all;
  const broken = all.find((cidr) => familyOfNetwork(cidr) === undefined);
  if (broken !== undefined)
    throw invalid(`nodePortAddresses: ${JSON.stringify(broken)} is not a network, nor "primary" alone`);
  return all;
}

/** `IP:PORT`, `[IP]:PORT`, `IP` with the port of the default. '0.0.0.0' and '::' are all addresses; '"' is none at all. */
function bindOf(field: string, text: string, byDefault: BindAddress): BindAddress {
  if (text === '') return byDefault;
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const host = bracketed ?? plain ?? text;
  const port = digits === undefined ? byDefault.port : Number(digits);
  if (familyOfIp(host) === undefined || port > 65_535 || port === 0)
    throw invalid(
      `${field}: ${JSON.stringify(text)} is not an address with a port, as 0.0.0.0:${byDefault.port}`,
    );
  return { host: host === '0.0.0.0' || host === '::' ? '' : host, port };
}

const sysctlOf = {
  'conntrack.tcpEstablishedTimeout': 'nf_conntrack_tcp_timeout_established',
  'conntrack.tcpCloseWaitTimeout': 'nf_conntrack_tcp_timeout_close_wait',
  'conntrack.udpTimeout': 'nf_conntrack_udp_timeout',
  'conntrack.udpStreamTimeout': 'nf_conntrack_udp_timeout_stream',
} as const;

/** 0 and what is not said leave what the host has. */
function sysctlsOf(configuration: JsonObject): Readonly<Record<string, string>> {
  const times = Object.entries(sysctlOf).flatMap(([path, key]) => {
    const value = at(configuration, path);
    const ms = typeof value === 'string' ? (parseDurationMs(value) ?? 0) : 0;
    if (ms < 0) throw invalid(`${path}: must not be negative`);
    return ms === 0 ? [] : [[key, String(Math.max(1, Math.floor(ms / 1000)))] as const];
  });
  const isLiberal = at(configuration, 'conntrack.tcpBeLiberal') === true;
  return Object.fromEntries([
    ...times,
    ...(isLiberal ? [['nf_conntrack_tcp_be_liberal', '1'] as const] : []),
  ]);
}
