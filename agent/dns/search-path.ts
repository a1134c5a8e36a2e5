import { plainName } from './dns-config.ts';

/**
 * The names that a pod's resolver will try next, of one that it tried first: `api.example.com.web.svc.cluster.local` with that pod's
 * search list leads to `api.example.com.svc.cluster.local`, … and `api.example.com`. Empty where it is no such name, or where what was
 * searched for has no dot: that is a Service's name, and who misspelt it is not to be sent outside.
 */
export function searchedNames(name: string, searches: readonly string[]): readonly string[] {
  const [first, ...others] = searches.map(plainName);
  const asked = plainName(name);
  if (first === undefined || !asked.endsWith(`.${first}`)) return [];
  const base = asked.slice(0, -first.length - 1);
  if (!base.includes('.')) return [];
  return [...others.map((search) => `${base}.${search}`), base];
}
