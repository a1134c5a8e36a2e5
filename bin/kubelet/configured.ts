/** KubeletConfiguration as options of an agent: what the command line says comes first. */
import { resolve } from 'node:path';
import { readKubeletConfiguration, withoutEffect } from '#agent/kubelet/config/kubelet-configuration.ts';
import { readSettings, type KubeletSettings } from '#agent/kubelet/config/settings.ts';
import {
  readProxyConfiguration,
  type ProxySettings,
  type ReadProxyConfiguration,
} from '#agent/proxy/config/proxy-configuration.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at } from '#api/wire/json.ts';
import { describeError, PodwrightError } from '#base/errors.ts';
import type { AgentCommandOptions } from '#bin/options/command-options.ts';

export type ConfiguredOptions = AgentCommandOptions & {
  readonly settings: KubeletSettings;
  readonly configuration: JsonObject;
  /** What of the configuration has no effect. */
  readonly notices: readonly string[];
  readonly proxy: ReadProxyConfiguration;
};

const asGiven = (value: unknown): unknown => value;
/** As the option has it. */
const asText = (value: unknown): unknown => String(value);

/** A field, the option that says the same, and how it says it. */
const optionOf: readonly (readonly [
  field: string,
  option: keyof AgentCommandOptions,
  as: (value: unknown) => unknown,
])[] = [
  ['maxPods', 'maxPods', asGiven],
  ['podLogsDir', 'podLogsDir', asGiven],
  ['staticPodPath', 'podManifestPath', asGiven],
  ['clusterDNS', 'clusterDns', asGiven],
  ['clusterDomain', 'clusterDomain', asGiven],
  ['resolvConf', 'resolvConf', asGiven],
  ['containerLogMaxSize', 'containerLogMaxSize', asGiven],
  ['containerLogMaxFiles', 'containerLogMaxFiles', asGiven],
  ['imageGCHighThresholdPercent', 'imageGcHighThreshold', asGiven],
  ['imageGCLowThresholdPercent', 'imageGcLowThreshold', asGiven],
  ['imageMinimumGCAge', 'minimumImageTtlDuration', asGiven],
  ['imageMaximumGCAge', 'imageMaximumGcAge', asGiven],
  ['cgroupRoot', 'cgroup', asGiven],
  ['containerRuntimeEndpoint', 'containerRuntimeEndpoint', asGiven],
  ['imageServiceEndpoint', 'imageServiceEndpoint', asGiven],
  ['rotateCertificates', 'rotateCertificates', asGiven],
  ['authentication.anonymous.enabled', 'anonymousAuth', asText],
  ['authentication.webhook.enabled', 'authenticationTokenWebhook', asText],
  ['authentication.x509.clientCAFile', 'clientCaFile', asGiven],
  ['authorization.mode', 'authorizationMode', asGiven],
];

/** @throws {E_USAGE} with what is wrong in the files */
export function configured(options: AgentCommandOptions): ConfiguredOptions {
  try {
    const configuration = readKubeletConfiguration({ file: options.config, directory: options.configDir });
    const proxy = readProxyConfiguration(options.proxyConfig);
    const merged = withProxySettings(withConfiguration(options, configuration), proxy.settings);
    const { podManifestPath } = merged;
    const settings = readSettings({
      ...configuration,
      ...(podManifestPath === undefined ? {} : { staticPodPath: resolve(podManifestPath) }),
    });
    return { ...merged, settings, configuration, notices: withoutEffect(configuration), proxy };
  } catch (cause) {
    throw new PodwrightError('E_USAGE', `start agent: ${describeError(cause)}`, { cause });
  }
}

/** What the command line says comes first here, too. Pure. */
function withProxySettings(
  options: AgentCommandOptions,
  { mode, clusterCidr }: ProxySettings,
): AgentCommandOptions {
  const given = new Set<string>(options.givenOptions ?? Object.keys(options));
  return {
    ...options,
    ...(mode === undefined || given.has('proxyMode') ? {} : { proxyMode: mode }),
    ...(clusterCidr === undefined || given.has('clusterCidr') ? {} : { clusterCidr }),
  };
}

/** Pure. */
export function withConfiguration(
  options: AgentCommandOptions,
  configuration: JsonObject,
): AgentCommandOptions {
  const given = new Set<string>(options.givenOptions ?? Object.keys(options));
  const told = optionOf.flatMap(([field, option, as]): readonly (readonly [string, unknown])[] => {
    const value = at(configuration, field);
    const isEmpty =
      value === undefined || value === null || value === '' || (Array.isArray(value) && value.length === 0);
    return isEmpty || given.has(option) ? [] : [[option, as(value)]];
  });
  return { ...options, ...Object.fromEntries(told) };
}
