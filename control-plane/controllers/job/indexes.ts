import type { Job, Pod } from '#api/generated/objects.ts';

export const indexAnnotation = 'batch.kubernetes.io/job-completion-index';

/** The completion index of a pod of an Indexed job; undefined without one, or beyond the job's completions. */
export function indexOf({ metadata }: Pod, job: Job): number | undefined {
  const text = metadata?.annotations?.[indexAnnotation] ?? '';
  const index = /^\d+$/.test(text) ? Number(text) : undefined;
  return index === undefined || index >= (job.spec?.completions ?? 0) ? undefined : index;
}

export function isIndexed(job: Job): boolean {
  return job.spec?.completionMode === 'Indexed';
}

/** `0-2,5`; two in a row are two, as kube-controller-manager writes them (`0,1`). */
export function formatIndexes(indexes: ReadonlySet<number>): string {
  const parts: string[] = [];
  for (const index of [...indexes].toSorted((a, b) => a - b)) {
    if (indexes.has(index - 1)) continue;
    let end = index;
    while (indexes.has(end + 1)) end += 1;
    if (end === index) parts.push(String(index));
    else parts.push(end === index + 1 ? `${index},${end}` : `${index}-${end}`);
  }
  return parts.join(',');
}

/** The indexes below `completions` that the text names: a job may have shrunk since it was written. */
export function parseIndexes(text: string | undefined, completions: number): readonly number[] {
  return (text ?? '').split(',').flatMap((part) => {
    const [start, last = start] = part.split('-').map(Number);
    if (part === '' || start === undefined || last === undefined) return [];
    const end = Math.min(last, completions - 1);
    return Array.from({ length: Math.max(0, end - start + 1) }, (_, offset) => start + offset);
  });
}
