import { formatAge } from '#api/meta/age.ts';
import type { Container, LabelSelector } from '#api/generated/objects.ts';
import { formatLabelSelector, labelSelectorFromObject } from '#api/meta/selector.ts';

/** Nothing is there. */
export const none = '<none>';
/** Nothing was set. */
export const unset = '<unset>';
/** Nobody knows. */
export const unknown = '<unknown>';

/** Age of a timestamp; `<unknown>` when there is none. */
export function age(timestamp: string | null | undefined, now: number): string {
  const since = Date.parse(timestamp ?? '');
  return Number.isNaN(since) ? unknown : formatAge(now - since);
}

/** `a,b` */
export function containerNames(containers: readonly Container[] | undefined): string {
  return (containers ?? []).map(({ name }) => name).join(',');
}

/** `busybox:1,nginx:2` */
export function containerImages(containers: readonly Container[] | undefined): string {
  return (containers ?? []).map(({ image = '' }) => image).join(',');
}

/** `a=b,c=d` in order of keys, or `<none>`. */
export function labelText(labels: Readonly<Record<string, string>> | undefined): string {
  const entries = Object.entries(labels ?? {}).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return entries.length === 0 ? none : entries.map(([key, value]) => `${key}=${value}`).join(',');
}

/** The selector as text, or `<none>`. */
export function selectorText(selector: LabelSelector | undefined): string {
  const text = selector === undefined ? '' : formatLabelSelector(labelSelectorFromObject(selector));
  return text === '' ? none : text;
}

/** The first three, and how many more. */
export function firstThree(items: readonly string[], separator = ','): string {
  const shown = items.slice(0, 3).join(separator);
  return items.length > 3 ? `${shown} + ${items.length - 3} more...` : shown;
}

/** The texts that are not empty, joined, or `<none>`. */
export function joined(items: readonly (string | undefined)[], separator = ','): string {
  const text = items.filter((item) => item !== undefined && item !== '').join(separator);
  return text === '' ? none : text;
}
