//! Types that the kernel and user space copy byte by byte.

/// A type of which any bytes are a value, and whose values have no padding.
///
/// # Safety
/// Both hold: the kernel refuses a value with uninitialised padding, and user space reads any bytes as a value.
pub unsafe trait Plain: Copy + 'static {
    /// Reads the value at the beginning of `bytes`; `None` if there are too few.
    #[must_use]
    fn read_from(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..size_of::<Self>())?;
        // SAFETY: there are as many bytes as the type has, and any bytes are a value.
        Some(unsafe { bytes.as_ptr().cast::<Self>().read_unaligned() })
    }
}

// SAFETY: an integer has no padding, and any bytes are one.
unsafe impl Plain for u8 {}
// SAFETY: as above.
unsafe impl Plain for u16 {}
// SAFETY: as above.
unsafe impl Plain for u32 {}
// SAFETY: as above.
unsafe impl Plain for u64 {}
// SAFETY: elements follow each other without padding.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {}

/// Declares a struct that both sides share, of a pinned size: `repr(C)`, with members that are [`Plain`] and no
/// padding between or behind them, which the compiler checks.
#[macro_export]
macro_rules! plain {
    (
        $(#[$attribute:meta])*
        $visibility:vis struct $name:ident: $size:literal {
            $($(#[$field_attribute:meta])* $field_visibility:vis $field:ident: $type:ty,)+
        }
    ) => {
        $(#[$attribute])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        $visibility struct $name {
            $($(#[$field_attribute])* $field_visibility $field: $type,)+
        }

        const _: () = {
            const fn is_plain<T: $crate::Plain>() {}
            assert!(size_of::<$name>() == $size);
            assert!(0 $(+ size_of::<$type>())+ == $size, "there is padding");
            $(is_plain::<$type>();)+
        };
        // SAFETY: every member is plain, and as they fill the struct, nothing of it is padding.
        unsafe impl $crate::Plain for $name {}
        $crate::loadable!($name);
    };
}

/// Lets aya use a type that is [`Plain`] in maps and global variables.
#[doc(hidden)]
#[macro_export]
#[cfg(all(feature = "user", target_os = "linux"))]
macro_rules! loadable {
    ($name:ty) => {
        // SAFETY: `Plain` has the same requirements.
        unsafe impl aya::Pod for $name where $name: $crate::Plain {}
    };
}

#[doc(hidden)]
#[macro_export]
#[cfg(not(all(feature = "user", target_os = "linux")))]
macro_rules! loadable {
    ($name:ty) => {};
}

#[cfg(test)]
mod tests {
    use super::Plain;
    use crate::Ancestor;

    #[test]
    fn read_from_too_few_bytes_is_none() {
        assert_eq!(Ancestor::read_from(&[0; size_of::<Ancestor>() - 1]), None);
        assert_eq!(Ancestor::read_from(&[0; size_of::<Ancestor>() + 1]), Some(Ancestor::default()));
    }

    #[test]
    fn read_from_unaligned_bytes_is_the_value() {
        let bytes: [u8; 25] = core::array::from_fn(|at| u8::try_from(at).unwrap());
        let read = Ancestor::read_from(&bytes[1..]).unwrap();
        assert_eq!(read.namespace_device.to_ne_bytes(), [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(read.reserved.to_ne_bytes(), [21, 22, 23, 24]);
    }
}
