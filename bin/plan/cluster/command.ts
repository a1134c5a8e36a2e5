/** `podwright plan --cluster`: what would become of the objects of a file in a cluster, of which nothing is changed. */
import type { ApiClient } from '#client/client.ts';
import { systemClock } from '#base/clock.ts';
import { print, printText } from '#bin/terminal/print.ts';
import type { OutputFormat } from '#bin/terminal/progress.ts';
import { openAccess } from '#bin/token.ts';
import { bindAtOnce } from './bind-claims.ts';
import { observe, readGiven, show } from './gather.ts';
import type { WhatIf } from './observed.ts';
import { storageWith } from './of-file.ts';
import { renderWhatIf } from './render.ts';
import { planLandings } from './what-if.ts';

export interface WhatIfOptions {
  readonly namespace: string;
  readonly kubeconfig?: string;
  readonly data: string;
  readonly output: OutputFormat;
}

/** Exit status 1 where an object or a pod is refused, or a pod finds no node. */
export async function runWhatIf(text: string, source: string, options: WhatIfOptions): Promise<void> {
  await using access = openAccess(options);

  const result = await whatIf(text, { client: access.client, source, namespace: options.namespace });
  if (options.output === 'json') print(JSON.stringify(result));
  else printText(renderWhatIf(result));
  if (!isFine(result)) process.exitCode = 1;
}

export function isFine({ objects, pods }: WhatIf): boolean {
  return (
    objects.every(({ refusal }) => refusal === undefined) && pods.every(({ result }) => result === 'lands')
  );
}

/** Reads, and writes nothing: what the server is shown are dry runs. @throws E_INVALID, E_API */
export async function whatIf(
  text: string,
  how: { readonly client: ApiClient; readonly source: string; readonly namespace: string },
): Promise<WhatIf> {
  const given = await readGiven(text, how);
  const observed = await observe(how.client);
  const shown = await show(given, observed, { client: how.client, nowMs: systemClock.now() });
  const storage = storageWith(shown, observed);
  const { outcomes, ...bound } = bindAtOnce(storage.claims, storage);
  const known = {
    ...{ ...observed, ...bound, classes: storage.classes, claims: [...observed.claims, ...bound.claims] },
    podGroups: [...shown.podGroups, ...observed.podGroups], // As the file has it, before as it is there.
  };
  return { objects: shown.objects, pods: planLandings(shown.pods, known), claims: outcomes };
}
