// Package openapitest holds every exchange of package httpadapter's tests against the
// OpenAPI descriptions that httpadapter publishes. It is tests only, and a module of its own:
// the validator is nobody's dependency.
//
// The adapter's tests run once more, with REMINT_RECORD naming a directory to which they
// write each request and answer. Then
//
//   - each answer must be one that is described: its status, its type, each of its headers,
//     each field of its body;
//   - each request that was served must be as described, what it is authorized with
//     included (what was refused was mostly sent to be refused);
//   - each status of each operation, and each error code, must have been seen: nothing is
//     described that no test causes. What cannot be caused has its reason in this package.
//
// The descriptions are checked to be OpenAPI 3.1, too.
package openapitest
