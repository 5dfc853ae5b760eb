"""The conformance table is complete: every test of the reference has a row, and every test and heading it names exists."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.php.harness.server import REPOSITORY

TABLE = (REPOSITORY / "docs" / "conformance.md").read_text()
DIFFERENCES = (REPOSITORY / "docs" / "reference-differences.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::((?:\w+::)?\w+)`", TABLE)))
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", TABLE, re.MULTILINE | re.DOTALL))

# The reference's tests, by the section that has their rows.
REFERENCE = {
    "Requests and responses": """
        TestHelloWorld TestServerVariable TestPathInfo TestHeaders TestResponseHeaders TestInput TestPostSuperGlobals
        TestRequestSuperGlobal TestRequestSuperGlobalConditional_worker TestCookies TestMalformedCookie TestSession
        TestPhpInfo TestPersistentObject TestAutoloader TestException TestEarlyHints TestFlush TestLargeRequest
        TestVersion TestFiberNoCgo TestFiberNonCgo TestFiberBasic TestRequestHeaders TestFileUpload
        TestRejectInvalidHeaders TestFlushEmptyResponse TestFileStreamInWorkerMode FuzzRequest TestFinishRequest
        TestFinishRequestRealHTTPServerDoesNotAbort TestConnectionAbort TestShortStatusLineDoesNotOverflow
        TestCustomStatusLineIsHonored TestRequestBodyTimeout TestRequestBodyTimeoutHTTP2
        TestFinishRequestThenReadBodyHTTP2 TestOpcachePreload TestEnvVarsInPhpIni BenchmarkHelloWorld BenchmarkEcho
        BenchmarkServerSuperGlobal BenchmarkUncommonHeaders""",
    "Environment": """
        TestEnv TestEnvIsResetInNonWorkerMode TestEnvIsNotResetInWorkerMode TestPreparedEnvIsVisibleToGetenv
        TestPreparedEnvIsNotInEnvWithoutVariablesOrderE TestPreparedEnvSurvivesPutenv
        TestModificationsToEnvPersistAcrossRequests TestWorkerHasOSEnvironmentVariableInSERVER""",
    "Worker mode": """
        TestWorker TestWorkerDie TestNonWorkerModeAlwaysWorks TestCannotCallHandleRequestInNonWorkerMode TestWorkerEnv
        TestWorkerGetOpt TestWorkerCrashIsLoggedAboveDebugLevel TestKeepRunningOnConnectionAbort TestWorkerMaxRequests
        TestWorkerMaxRequestsHighConcurrency TestModuleMaxRequests TestModuleMaxRequestsConcurrent TestFailingWorker
        TestSessionHandlerReset_worker TestSessionHandlerPreLoopPreserved_worker TestSessionNoLeakBetweenRequests_worker
        TestSessionNoLeakAfterExit_worker TestSessionLockReleaseOnAbortInUserSaveHandler
        TestRestartWorkersForceKillsStuckThread TestWorkersShouldReloadOnMatchingPattern
        TestWorkersShouldNotReloadOnExcludingPattern TestWorkersExtension TestWorkerExtensionSendMessage
        TestErrorIf2WorkersHaveSameName TestPersistentZvalRoundtrip TestDd""",
    "Logging, command line, extension": """
        TestLog_error_log TestLog_frankenphp_log TestMercurePublish TestExecuteScriptCLI TestExecuteCLICode
        TestExecuteCLIPHPInfo TestExecuteScriptCLISignals TestRegisterExtension""",
    "Threads, scaling, options": """
        TestStartAndStopTheMainThreadWithOneInactiveThread TestTransitionRegularThreadToWorkerThread
        TestTransitionAThreadBetween2DifferentWorkers TestTransitionThreadsWhileDoingRequests
        TestQueuedRequestSurvivesReload TestFinishBootingAWorkerScript TestReturnAnErrorIf2WorkersHaveTheSameFileName
        TestReturnAnErrorIf2ModuleWorkersHaveTheSameName TestCorrectThreadCalculation TestContextAndLoggerMustNotBeNil
        TestScaleARegularThreadUpAndDown TestScaleAWorkerThreadUpAndDown TestMaxIdleTimePreventsEarlyDeactivation
        TestRegularRequestChanIsCreatedBeforeInitRuns TestRequestsQueuedBeforeThreadsAreReadyAreHandedOver
        Test2GoroutinesYieldToEachOtherViaStates TestStateShouldHaveCorrectAmountOfSubscribers TestEnsureLeadingSlash
        TestSplitRemoteAddr TestSplitPos TestSplitPosUnicodeSecurityRegression
        TestSplitPosSecurityRegressionUnicodeBypass TestWithRequestSplitPath TestAllCommonHeadersAreCorrect
        TestHeaderWithSpaceIsRejectedByNetHTTP TestPrometheusMetrics_TotalThreadsReportsCurrentValue
        TestPrometheusMetrics_TotalWorkers TestPrometheusMetrics_StopWorkerRequest
        TestPrometheusMetrics_StartWorkerRequest TestPrometheusMetrics_TestStopReasonCrash TestGoString TestPHPMap
        TestOrderedPHPAssociativeArray TestPHPPackedArray TestPHPPackedArrayToGoMap TestPHPAssociativeArrayToPacked
        TestNestedMixedArray TestServer idx name root env split_path workers_by_path_and_request_matcher
        worker_env_inheritance error_on_duplicate_worker_filenames error_on_request_matcher_without_server_scope
        reregistration_after_shutdown error_on_missing_registration server_logger""",
    "Configuration and whole servers": """
        TestPHP TestLargeRequest TestWorker TestGlobalAndModuleWorker TestModuleWorkerInheritsEnv TestNamedModuleWorkers
        TestEnv TestJsonEnv TestCustomCaddyVariablesInEnv TestPHPServerDirective
        TestPHPServerDirectiveDisableFileServer TestPHPServerGlobals TestWorkerPHPServerGlobals TestMetrics
        TestWorkerMetrics TestNamedWorkerMetrics TestMultiWorkersMetrics TestPhpServerWorkerMatchPoolCount
        TestAutoWorkerConfig TestDisabledMetrics TestAllDefinedServerVars TestPHPIniConfiguration
        TestPHPIniBlockConfiguration TestOsEnv TestMaxWaitTime TestMaxWaitTimeWorker TestWorkerRestart
        TestWorkerMatchDirective TestWorkerMatchDirectiveWithMultipleWorkers TestWorkerMatchDirectiveWithoutFileServer
        TestDd TestOpcacheReset TestLog TestSymlinkWorkerPaths Neighboring Nested OutsideSymlinkedFolder
        SpecifiedRootDirectory TestSymlinkResolveRoot Resolve NoResolve TestSymlinkWorkerBehavior
        FailsWithoutWorkerMode MultipleRequests TestSessionLockReleaseOnAbortInUserSaveHandler
        TestRestartWorkerViaAdminApi TestShowTheCorrectThreadDebugStatus TestThreadDebugStateMetricsAfterRequests
        TestAutoScaleWorkerThreads TestAutoScaleRegularThreadsOnAutomaticThreadLimit TestAddModuleWorkerViaAdminApi
        TestRegisteredModuleWorkerPoolsMustBeCorrect TestRootBehavesTheSameOutsideAndInsidePhpServer TestHotReload
        TestWorkerWithInactiveWatcher TestWorkerOptionsKeepProvisionedOptions TestModuleRequestBodyTimeout
        TestModuleRequestBodyTimeoutDisabled TestModuleWorkerDuplicateFilenamesFail
        TestModuleWorkersWithDifferentFilenames TestModuleWorkersDifferentNamesSucceed
        TestModuleWorkerWithEnvironmentVariables TestModuleWorkerWithWatchConfiguration TestModuleWorkerWithCustomName
        TestCreateUniqueWorkerNames TestCreateUniqueWorkerNamesQualifiedByServer TestAssignServerIndexIncrements
        TestRegisterModulesWithSameServerIndexShareOneServer TestRegisterModulesWithoutServerIndexGetOwnServers
        TestRegisterModulesFirstModuleWinsPerIdx TestResolveServerName""",
    "Watching files": """
        TestDisallowOnEventTypeBiggerThan3 TestDisallowOnPathTypeBiggerThan2 TestWatchesCorrectDir
        TestValidRecursiveDirectories TestInvalidRecursiveDirectories TestValidNonRecursiveFilePatterns
        TestInValidNonRecursiveFilePatterns TestValidRecursiveFilePatterns TestInvalidRecursiveFilePatterns
        TestValidDirectoryPatterns TestInvalidDirectoryPatterns TestValidCurlyBracePatterns
        TestInvalidCurlyBracePatterns TestAnAssociatedEventTriggersTheWatcher""",
}
# What has no test of ours, because the piece is not built or has no counterpart; see the differences.
UNTESTED = {
    "TestHotReload", "TestMercurePublish", "TestRegisterExtension", "TestWorkersExtension",
    "TestWorkerExtensionSendMessage", "TestPersistentZvalRoundtrip", "TestGoString", "TestPHPMap",
    "TestOrderedPHPAssociativeArray", "TestPHPPackedArray", "TestPHPPackedArrayToGoMap",
    "TestPHPAssociativeArrayToPacked", "TestNestedMixedArray",
}  # fmt: skip


def _functions(path: Path) -> set[str]:
    """Give the functions of a module; those of a class with and without its name."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        inner = node.body if isinstance(node, ast.ClassDef) else [node]
        for one in inner:
            if isinstance(one, ast.FunctionDef):
                found |= {one.name, f"{node.name}::{one.name}" if isinstance(node, ast.ClassDef) else one.name}
    return found


def _rows(text: str) -> Iterator[str]:
    """Give the rows of the tables in a text, without their heads."""
    lines = text.splitlines()
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if line.startswith("| ") and not following.startswith("|---"):
            yield line


def _names(row: str) -> set[str]:
    return set(re.findall(r"\w+", row.split("|")[1]))


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_a_test_named_in_the_table_exists(path: str, name: str) -> None:
    file = REPOSITORY / path
    assert file.is_file()
    assert name in _functions(file)


def test_the_table_names_tests_at_all() -> None:
    assert len(NAMED) > 200


@pytest.mark.parametrize("section", REFERENCE)
def test_every_test_of_the_reference_has_a_row(section: str) -> None:
    rows = list(_rows(SECTIONS[section]))
    missing = set(REFERENCE[section].split()) - set().union(*map(_names, rows))
    assert not missing


def test_a_row_without_a_test_is_exempt_by_name() -> None:
    for section in REFERENCE:
        for row in _rows(SECTIONS[section]):
            if "::" not in row and "make bench" not in row:
                assert _names(row) <= UNTESTED, row


def test_every_row_names_a_test_or_a_difference() -> None:
    for row in _rows(TABLE):
        assert "::" in row or "reference-differences.md#" in row or "make bench" in row, row


@pytest.mark.parametrize("anchor", sorted(set(re.findall(r"reference-differences\.md#([\w-]+)", TABLE))))
def test_a_difference_linked_in_the_table_has_its_heading(anchor: str) -> None:
    headings = {
        re.sub(r"[^\w -]", "", line.lstrip("# ")).lower().replace(" ", "-")
        for line in DIFFERENCES.splitlines()
        if line.startswith("#")
    }
    assert anchor in headings
