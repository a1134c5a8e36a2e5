import { systemClock } from '#base/clock.ts';
import { print } from '#bin/terminal/print.ts';
import type { OutputFormat } from '#bin/terminal/progress.ts';
import { version } from '#bin/version.ts';
import type { Finding } from './finding.ts';
import { gatherHostFacts } from './gather-host.ts';
import { examine } from './host-findings.ts';

const marks: Readonly<Record<Finding['state'], string>> = { ok: 'ok', limited: '--', missing: '!!' };

export async function runDoctor(options: {
  readonly output: OutputFormat;
  readonly kubeconfig?: string | undefined;
}): Promise<void> {
  const ofCluster = options.kubeconfig === undefined ? [] : await examineCluster(options.kubeconfig);
  const findings = [...examine(await gatherHostFacts()), ...ofCluster];
  for (const finding of findings) {
    if (options.output === 'json') {
      print(JSON.stringify(finding));
      continue;
    }
    const remedy = finding.remedy === '' ? '' : `\n      ${finding.remedy}`;
    print(`${marks[finding.state]}  ${finding.what.padEnd(12)} ${finding.detail}${remedy}`);
  }
  if (findings.some(({ state }) => state === 'missing')) process.exitCode = 1;
}

async function examineCluster(kubeconfig: string): Promise<readonly Finding[]> {
  const { examineWebhooks, gatherClusterFacts } = await import('./cluster-findings.ts');
  const { createApiClient } = await import('#client/api-client.ts');
  const { createHttpTransport } = await import('#client/http-transport.ts');
  const { loadKubeconfig } = await import('#client/kubeconfig.ts');
  await using transport = createHttpTransport(loadKubeconfig(kubeconfig, systemClock));

  const client = createApiClient({ transport, userAgent: `podwright-doctor/${version()}` });
  return examineWebhooks(await gatherClusterFacts(client));
}
