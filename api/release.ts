/** The version that servers and nodes report: that of Kubernetes whose API this is (the facts' version), and ours (package.json). */
export const gitVersion = 'v1.36.2+podwright-0.1.0';
