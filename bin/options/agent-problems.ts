/**
 * What is wrong with the options of `agent`, before anything is written or started. Pure. Apart from the server's: those know all of
 * admission and of CEL, which would be two fifths of the modules of an agent.
 */
import { parseDurationMs } from '#api/meta/duration.ts';
import { quantityToInteger, tryParseQuantity } from '#api/meta/quantity.ts';
import { fastPathProblem } from '#agent/network/fast-path/choice.ts';
import { kubeletAccessProblems } from '#bin/authorization/kubelet-access.ts';
import { ulimitProblems } from '#agent/runtime/plan/ulimits.ts';
import { criProblems } from '#bin/cri/cri-command.ts';
import type { AgentCommandOptions } from './command-options.ts';
import { handlerProblems } from './handler-option.ts';
import { linkProblems, networkProblems, nodeAddressProblems } from './network-problems.ts';
import { durationProblems, nameProblems } from './option-problems.ts';

/** All that is wrong, each beginning with the option's name. */
export function agentOptionProblems(options: AgentCommandOptions): readonly string[] {
  const { nodeName, nodeIp, clusterDomain, linkCidr = [], insecureRegistry, containerLogMaxSize } = options;
  const problem = fastPathProblem(options.fastPath, options.proxyMode);
  return [
    ...(nodeName === undefined ? [] : nameProblems('--node-name', nodeName)),
    ...nodeAddressProblems(options),
    ...networkProblems(options),
    ...nameProblems('--cluster-domain', clusterDomain),
    ...linkProblems(linkCidr, nodeIp),
    ...(problem === undefined ? [] : [problem]),
    ...insecureRegistry
      .filter((host) => !/^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+)(:\d{1,5})?$/.test(host))
      .map((host) => `--insecure-registry ${host}: write HOST or HOST:PORT`),
    ...sizeProblems('--container-log-max-size', containerLogMaxSize),
    ...imageGcProblems(options),
    ...kubeletAccessProblems(options),
    ...criProblems(options),
    ...handlerProblems(options.runtimeHandler),
    ...ulimitProblems(options.defaultUlimit),
    ...((options.imageCredentialProviderConfig === undefined) ===
    (options.imageCredentialProviderBinDir === undefined)
      ? []
      : ['--image-credential-provider-config: --image-credential-provider-bin-dir goes with it']),
  ];
}

function imageGcProblems(options: AgentCommandOptions): readonly string[] {
  const { imageGcHighThreshold: high, imageGcLowThreshold: low } = options;
  const { minimumImageTtlDuration: least, imageMaximumGcAge: most } = options;
  const problems = [
    ...durationProblems('--minimum-image-ttl-duration', least),
    ...durationProblems('--image-maximum-gc-age', most),
  ];
  if (low >= high)
    problems.push(
      `--image-gc-low-threshold ${low}: must be below --image-gc-high-threshold, which is ${high}`,
    );
  if (problems.length > 0) return problems;
  const [leastMs, mostMs] = [parseDurationMs(least), parseDurationMs(most)];
  return mostMs === 0 || leastMs <= mostMs
    ? []
    : [`--image-maximum-gc-age ${most}: must not be below --minimum-image-ttl-duration, which is ${least}`];
}

function sizeProblems(option: string, text: string): readonly string[] {
  const size = tryParseQuantity(text);
  return size !== undefined && quantityToInteger(size) >= 1
    ? []
    : [`${option} ${text}: not a number of bytes; write as 10Mi`];
}
