/** A definition of `WIDGETs.crd.example.com` that says the least; `spec` and `version` say more. */
export function definitionOf(
  plural: string,
  kind: string,
  more: { readonly spec?: object; readonly version?: object; readonly schema?: object } = {},
): object {
  const properties = { spec: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } };
  const version = {
    ...{ name: 'v1', served: true, storage: true },
    schema: { openAPIV3Schema: more.schema ?? { type: 'object', properties } },
    ...more.version,
  };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.crd.example.com` },
    spec: {
      group: 'crd.example.com',
      scope: 'Namespaced',
      names: { plural, kind },
      versions: [version],
      ...more.spec,
    },
  };
}

/** Where definitions are. */
export const definitionsPath = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
/** Where objects of the fixture's definitions are. */
export const customPath = '/apis/crd.example.com/v1/namespaces/default';
