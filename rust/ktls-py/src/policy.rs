//! `RekeyPolicy` and `StormPolicy`, and the older arguments with the same meaning.

use std::time::Duration;

use ktls_core::session::{KeyUpdateLimit, KeyUpdatePolicy};
use ktls_py_macros::from_stub;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::arguments::small;
use crate::errors::misconfigured;

#[from_stub]
#[pyclass(frozen, eq, hash, weakref, name = "RekeyPolicy", module = "ktls_fast")]
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub(crate) struct PyRekeyPolicy {
    bytes: Option<u64>,
    records: Option<u64>,
    interval: Duration,
    seconds: Option<Duration>,
    peer: bool,
}

#[from_stub(RekeyPolicy)]
#[pymethods]
impl PyRekeyPolicy {
    #[new]
    fn new(
        bytes: Option<u64>,
        records: Option<u64>,
        interval: f64,
        seconds: Option<f64>,
        peer: bool,
    ) -> PyResult<Self> {
        let policy = Self {
            bytes,
            records,
            interval: duration("interval", interval)?,
            seconds: seconds
                .map(|value| duration("seconds", value))
                .transpose()?,
            peer,
        };
        policy.check()
    }

    #[getter]
    fn bytes(&self) -> Option<u64> {
        self.bytes
    }

    #[getter]
    fn records(&self) -> Option<u64> {
        self.records
    }

    #[getter]
    fn interval(&self) -> f64 {
        self.interval.as_secs_f64()
    }

    #[getter]
    fn seconds(&self) -> Option<f64> {
        self.seconds.map(|seconds| seconds.as_secs_f64())
    }

    #[getter]
    fn peer(&self) -> bool {
        self.peer
    }

    fn __repr__(&self) -> String {
        format!(
            "RekeyPolicy(bytes={}, records={}, interval={}, seconds={}, peer={})",
            optional(self.bytes),
            optional(self.records),
            self.interval(),
            optional(self.seconds()),
            if self.peer { "True" } else { "False" }
        )
    }
}

impl PyRekeyPolicy {
    const DEFAULT: Self = Self {
        bytes: None,
        records: None,
        interval: Duration::from_millis(150),
        seconds: None,
        peer: false,
    };

    fn check(self) -> PyResult<Self> {
        if self.bytes == Some(0) || self.records == Some(0) || self.seconds == Some(Duration::ZERO)
        {
            return Err(misconfigured(
                "a rekey after 0 bytes, records or seconds would never end",
            ));
        }
        Ok(self)
    }
}

#[from_stub]
#[pyclass(frozen, eq, hash, weakref, name = "StormPolicy", module = "ktls_fast")]
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub(crate) struct PyStormPolicy {
    limit: u32,
    window: Duration,
}

#[from_stub(StormPolicy)]
#[pymethods]
impl PyStormPolicy {
    #[new]
    fn new(#[pyo3(from_py_with = small::<u32>)] limit: u32, window: f64) -> PyResult<Self> {
        let window = duration("window", window)?;
        Ok(Self { limit, window })
    }

    #[getter]
    fn limit(&self) -> u32 {
        self.limit
    }

    #[getter]
    fn window(&self) -> f64 {
        self.window.as_secs_f64()
    }

    fn __repr__(&self) -> String {
        format!(
            "StormPolicy(limit={}, window={})",
            self.limit,
            self.window()
        )
    }
}

impl PyStormPolicy {
    const DEFAULT: Self = Self {
        limit: 32,
        window: Duration::from_secs(1),
    };
}

/// The arguments about key updates, which all constructors of connections share.
pub(crate) struct PolicyArguments<'a, 'py> {
    pub(crate) rekey: Option<&'a Bound<'py, PyRekeyPolicy>>,
    pub(crate) storm: Option<&'a Bound<'py, PyStormPolicy>>,
    pub(crate) rekey_bytes: Option<u64>,
    pub(crate) rekey_records: Option<u64>,
    pub(crate) rekey_peer: bool,
    pub(crate) rekey_interval: f64,
    pub(crate) key_update_limit: (u32, f64),
}

impl PolicyArguments<'_, '_> {
    pub(crate) fn policy(&self) -> PyResult<KeyUpdatePolicy> {
        let rekey = self.rekey_policy()?;
        let PyStormPolicy { limit, window } = self.storm_policy()?;
        Ok(KeyUpdatePolicy {
            rekey_bytes: rekey.bytes,
            rekey_records: rekey.records,
            rekey_age: rekey.seconds,
            rekey_interval: rekey.interval,
            rekey_peer: rekey.peer,
            key_updates: KeyUpdateLimit {
                count: limit,
                window,
            },
        })
    }

    fn rekey_policy(&self) -> PyResult<PyRekeyPolicy> {
        let single = PyRekeyPolicy {
            bytes: self.rekey_bytes,
            records: self.rekey_records,
            interval: duration("rekey_interval", self.rekey_interval)?,
            seconds: None,
            peer: self.rekey_peer,
        };
        match self.rekey {
            None => single.check(),
            Some(policy) if single == PyRekeyPolicy::DEFAULT => Ok(*policy.get()),
            Some(_) => Err(misconfigured(
                "rekey replaces rekey_bytes, rekey_records, rekey_peer and rekey_interval: \
                 pass either",
            )),
        }
    }

    fn storm_policy(&self) -> PyResult<PyStormPolicy> {
        let (limit, seconds) = self.key_update_limit;
        let window = duration("key_update_limit", seconds)?;
        let single = PyStormPolicy { limit, window };
        match self.storm {
            None => Ok(single),
            Some(policy) if single == PyStormPolicy::DEFAULT => Ok(*policy.get()),
            Some(_) => Err(misconfigured(
                "storm replaces key_update_limit: pass either",
            )),
        }
    }
}

fn optional(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "None".into(), |value| value.to_string())
}

fn duration(option: &str, seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds).map_err(|_| {
        let text = format!("{option}: {seconds:?} is not a number of seconds");
        PyValueError::new_err(text)
    })
}
