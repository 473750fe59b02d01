"""Which types and fields of GitHub's GraphQL schema the embedded platform answers, and the cutting."""

from __future__ import annotations

from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    get_named_type,
    is_specified_scalar_type,
)
from graphql.utilities import print_type

HEADER = """# A slice of GitHub's public GraphQL schema, from the npm package @octokit/graphql-schema (MIT, see NOTICE).
# Made by tests/fake_github/slice_descriptions.py; do not edit.
"""

FIELDS: dict[str, str] = {
    "Query": "viewer repository organization resource node nodes rateLimit",
    "Mutation": "createCommitOnBranch convertPullRequestToDraft markPullRequestReadyForReview "
    "updateProjectV2ItemFieldValue addProjectV2ItemById",
    "RateLimit": "cost limit remaining resetAt used nodeCount",
    "Actor": "login url",
    "User": "id login databaseId url name",
    "Bot": "id login databaseId url",
    "Organization": "id login databaseId url name projectV2",
    "Node": "id",
    "UniformResourceLocatable": "url resourcePath",
    "Repository": "id databaseId name nameWithOwner owner url resourcePath isArchived isDisabled isEmpty isPrivate "
    "defaultBranchRef ref issue pullRequest object viewerPermission pullRequests",
    "RepositoryOwner": "id login url",
    "Ref": "id name prefix target",
    "GitObject": "id oid",
    "Commit": "id oid url messageHeadline messageBody message committedDate signature tree author",
    "GitActor": "name email date user",
    "Tree": "id oid entries",
    "TreeEntry": "name mode oid path type",
    "Blob": "id oid byteSize isBinary text",
    "GitSignature": "isValid state wasSignedByGitHub email",
    "GpgSignature": "isValid state wasSignedByGitHub email",
    "Label": "id name color description",
    "LabelConnection": "nodes totalCount pageInfo",
    "PageInfo": "hasNextPage endCursor hasPreviousPage startCursor",
    "Issue": "id databaseId number title body state stateReason url resourcePath author labels projectItems repository "
    "createdAt updatedAt lastEditedAt locked parent subIssues subIssuesSummary",
    "IssueConnection": "nodes totalCount pageInfo",
    "SubIssuesSummary": "total completed percentCompleted",
    "PullRequest": "id databaseId number title body state url resourcePath author labels projectItems repository "
    "createdAt updatedAt lastEditedAt isDraft merged mergedAt closed baseRefName headRefName headRefOid baseRefOid "
    "closingIssuesReferences reviews reviewThreads",
    "PullRequestReview": "id fullDatabaseId author state body submittedAt lastEditedAt",
    "PullRequestReviewConnection": "nodes totalCount pageInfo",
    "PullRequestReviewThread": "id isResolved isOutdated path line originalLine comments",
    "PullRequestReviewThreadConnection": "nodes totalCount pageInfo",
    "PullRequestReviewComment": "id fullDatabaseId author body createdAt lastEditedAt diffHunk",
    "PullRequestReviewCommentConnection": "nodes totalCount pageInfo",
    "PullRequestConnection": "nodes totalCount pageInfo",
    "ProjectV2": "id databaseId number title url resourcePath closed field fields items",
    "ProjectV2FieldCommon": "id name dataType",
    "ProjectV2SingleSelectField": "id name dataType options",
    "ProjectV2Field": "id name dataType",
    "ProjectV2FieldConfigurationConnection": "nodes totalCount pageInfo",
    "ProjectV2SingleSelectFieldOption": "id name description color",
    "ProjectV2Item": "id databaseId isArchived project type content fieldValueByName",
    "ProjectV2ItemConnection": "nodes totalCount pageInfo",
    "ProjectV2ItemFieldSingleSelectValue": "id name optionId",
    "CreateCommitOnBranchPayload": "commit ref clientMutationId",
    "ConvertPullRequestToDraftPayload": "pullRequest clientMutationId",
    "MarkPullRequestReadyForReviewPayload": "pullRequest clientMutationId",
    "UpdateProjectV2ItemFieldValuePayload": "projectV2Item clientMutationId",
    "AddProjectV2ItemByIdPayload": "item clientMutationId",
}


def prune(schema: GraphQLSchema) -> str:
    """The SDL of FIELDS and of the inputs, enums and scalars that they need. Raises KeyError for a field that the
    schema lacks.
    """
    kept: dict[str, GraphQLNamedType] = {}
    waiting: list[str] = list(FIELDS)
    while waiting:
        name = waiting.pop()
        if name in kept:
            continue
        kept[name] = _cut(schema.type_map[name])
        waiting += [n for n in _needs(kept[name]) if n not in kept]
    for kind in kept.values():
        if isinstance(kind, (GraphQLObjectType, GraphQLInterfaceType)):
            kind.interfaces = tuple(i for i in kind.interfaces if i.name in kept and _has_fields(kind, kept[i.name]))
        elif isinstance(kind, GraphQLUnionType):
            kind.types = tuple(t for t in kind.types if t.name in kept)
    printed = [print_type(kept[name]) for name in sorted(kept) if not is_specified_scalar_type(kept[name])]
    return HEADER + "\n" + "\n\n".join(printed) + "\n"


def _cut(kind: GraphQLNamedType) -> GraphQLNamedType:
    kind.description = None
    if isinstance(kind, (GraphQLObjectType, GraphQLInterfaceType)):
        if kind.name not in FIELDS:
            raise KeyError(f"{kind.name} is reached but FIELDS does not say which of its fields to keep")
        kind.fields = {name: kind.fields[name] for name in FIELDS[kind.name].split()}
        for field in kind.fields.values():
            _plain(field)
    elif isinstance(kind, GraphQLEnumType):
        for value in kind.values.values():
            value.description = value.deprecation_reason = None
    elif isinstance(kind, GraphQLInputObjectType):
        for given in kind.fields.values():
            given.description = given.deprecation_reason = None
    return kind


def _plain(field: GraphQLField) -> None:
    field.description = field.deprecation_reason = None
    for argument in field.args.values():
        argument.description = argument.deprecation_reason = None


def _needs(kind: GraphQLNamedType) -> list[str]:
    if isinstance(kind, GraphQLInputObjectType):
        return [get_named_type(given.type).name for given in kind.fields.values()]
    if not isinstance(kind, (GraphQLObjectType, GraphQLInterfaceType)):
        return []
    needed = [get_named_type(field.type).name for field in kind.fields.values()]
    return needed + [get_named_type(a.type).name for field in kind.fields.values() for a in field.args.values()]


def _has_fields(kind: GraphQLObjectType | GraphQLInterfaceType, interface: GraphQLNamedType) -> bool:
    return isinstance(interface, GraphQLInterfaceType) and interface.fields.keys() <= kind.fields.keys()
