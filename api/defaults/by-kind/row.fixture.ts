import type { JsonObject } from '#api/meta/object.ts';

/** One default of kubernetes 1.36: what an object has at a path before (or has not), and what it has after. */
export interface DefaultRow {
  /** `apps/v1 Deployment` */
  readonly of: string;
  /** The function of upstream's defaults.go, or of the generated ones where a type says its default itself. */
  readonly by: string;
  readonly given: JsonObject;
  /** Path to value; undefined: there is none. */
  readonly want: Readonly<Record<string, unknown>>;
}

/** A container of a tag. */
export const container = (more: JsonObject = {}): JsonObject => ({ name: 'c', image: 'i:1', ...more });
/** Rows about one kind. */
export const rowsOf = (
  of: string,
  rows: readonly (readonly [by: string, given: JsonObject, want: Readonly<Record<string, unknown>>])[],
): readonly DefaultRow[] => rows.map(([by, given, want]) => ({ of, by, given, want }));
/** What has a template whose pods are on the host's network. */
export const template: { readonly spec: JsonObject } = {
  spec: {
    template: {
      metadata: { labels: { a: 'b' } },
      spec: {
        containers: [container({ ports: [{ containerPort: 7 }], resources: { limits: { cpu: '1' } } })],
        hostNetwork: true,
      },
    },
  },
};
