/** Lists of CPUs and of NUMA nodes as the kernel writes them: `0-3,8` (cpuset(7), "List format"). Pure. */

/** Numbers at most, whatever a range says: a kernel has no more CPUs (NR_CPUS). */
const numbersMax = 8192;

/** In order, each once; undefined for what is no list. The empty text is the empty list. */
export function parseCpuList(text: string): readonly number[] | undefined {
  if (text.trim() === '') return [];
  const numbers = new Set<number>();
  for (const part of text.trim().split(',')) {
    const [, from, to = from] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part.trim()) ?? [];
    if (from === undefined || Number(to) < Number(from) || Number(to) >= numbersMax) return undefined;
    for (let each = Number(from); each <= Number(to); each++) numbers.add(each);
  }
  return [...numbers].toSorted((a, b) => a - b);
}

export function formatCpuList(numbers: Iterable<number>): string {
  const sorted = [...new Set(numbers)].toSorted((a, b) => a - b);
  const parts: string[] = [];
  for (let index = 0; index < sorted.length;) {
    const first = sorted[index] ?? 0;
    let end = index;
    while (sorted[end + 1] === (sorted[end] ?? 0) + 1) end++;
    const last = sorted[end] ?? first;
    parts.push(first === last ? String(first) : `${first}-${last}`);
    index = end + 1;
  }
  return parts.join(',');
}
